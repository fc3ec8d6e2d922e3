namespace Penstock.UnitTests.Docs;

/// <param name="Section">Of RFC 9112 unless it says 9110.</param>
/// <param name="Behaviour">What Penstock does.</param>
/// <param name="Tests"><c>Class.Method</c>, separated by blanks.</param>
internal sealed record HttpDuty(string Section, string Duty, string Behaviour, string Tests);

/// <summary>Duties of an HTTP/1.1 intermediary, what we do, and the tests that hold us to it: docs/http.md.</summary>
internal static class HttpDuties
{
    private const string Hostile = "HostileRequestTests.Message_hostile_is_refused_however_it_arrives"
        + " SmugglingTests.Hostile_messages_reach_no_backend_whole_and_disturb_nobody";

    private const string BadResponse =
        "FailureTests.Response_that_is_malformed_is_a_502_and_its_connection_is_not_used_again";

    public static readonly HttpDuty[] All =
    [
        new("2.2", "bare CR, bare LF, white space before the first field", "refused, 400", Hostile),
        new("2.2", "what is not the grammar", "refused, 400, closed", Hostile),
        new("2.3", "our own version on every message", "HTTP/1.1, also for HTTP/1.0 clients",
            "RequestWriterTests.Write_of_http10_says_so_in_via_only"),
        new("3", "long targets, long methods", "414, 501", "BoundsTests.Head_beyond_its_bounds_is_refused"
            + " RequestHeadTests.Line_of_8_KiB_is_the_longest RequestHeadTests.Method_of_32_octets_is_the_longest"),
        new("3.2", "no Host, two, or one that is no authority", "refused, 400",
            Hostile + " RequestHeadTests.Host_is_an_authority_or_refused"),
        new("3.2.2", "absolute-form", "accepted; Host is the target's authority, the backend gets origin-form",
            "RequestWriterTests.Write_of_any_target_form_is_one_that_servers_know"),
        new("3.2.4", "OPTIONS without a path", "sent as *",
            "RequestWriterTests.Write_of_any_target_form_is_one_that_servers_know"),
        new("5.1", "white space before the colon", "request 400, response 502", Hostile + " " + BadResponse),
        new("5.2", "folded fields", "request 400, response 502", Hostile + " " + BadResponse),
        new("6.1", "Transfer-Encoding with Content-Length, in HTTP/1.0, in 1xx or 204", "request 400, response 502",
            Hostile + " " + BadResponse),
        new("6.1", "no chunks for HTTP/1.0 clients", "ended by closing",
            "ForwardingTests.Http10_client_gets_no_chunks_and_is_closed_unless_it_asks"),
        new("6.2", "one framing field only", "written anew from what was understood",
            "RequestWriterTests.Write_of_framing_and_expectation_is_what_was_understood"
            + " ResponseWriterTests.Write_of_framing_is_one_or_none"),
        new("6.3", "codings other than chunked, alone and last", "400 or 501", Hostile),
        new("6.3", "a Content-Length that is no number, a list, or there twice", "request 400, response 502",
            Hostile + " " + BadResponse),
        new("6.3, 8", "a body that is cut", "cut at the other side, too; never completed",
            "FailureTests.Response_that_is_cut_is_never_taken_for_whole"
            + " FailureTests.Client_that_cuts_its_upload_is_not_taken_for_whole"),
        new("6.3, 9.2", "octets behind a response", "that connection is closed",
            "FailureTests.Octets_behind_a_response_never_reach_another_client"),
        new("7.1", "chunk sizes, their overflow, chunk ends", "refused, 400", Hostile),
        new("7.1.1", "chunk extensions", "checked, 4 KiB at most in a body, dropped",
            "BodyReaderTests.Read_chunked_extensions_are_bounded_over_the_whole_body"),
        new("7.1.2", "trailer fields", "checked, 8 KiB at most, dropped",
            "HostileRequestTests.Message_hostile_that_is_not_refused_leaves_no_trace"),
        new("7.4", "TE", "dropped: it is for one hop",
            "ForwardingTests.Backend_sees_the_request_with_who_asked_and_without_hop_by_hop_fields"),
        new("9.3", "answering before the body is read", "the connection closes, after the client could read the answer",
            "ForwardingTests.Early_response_reaches_a_client_that_still_uploads"
            + " BoundsTests.Body_beyond_its_bound_is_a_413_and_is_never_whole_at_the_backend"),
        new("9.3", "persistence of HTTP/1.0 connections", "only when the client asks and the response is framed",
            "ForwardingTests.Http10_client_gets_no_chunks_and_is_closed_unless_it_asks"),
        new("9.3.2", "pipelining", "answers in order, one request at a backend at a time",
            "ForwardingTests.Pipelined_requests_are_answered_in_order_also_behind_bodies"),
        new("9.6", "nothing after close", "neither read nor sent", "FailureTests.Bad_request_says_why_and_closes"
            + " BoundsTests.Connection_closes_after_its_last_request"),
        new("9110 5.3", "unknown fields, and the order of equal ones", "kept",
            "RequestWriterTests.Write_of_a_plain_request_keeps_octets_and_order_and_adds_ours"),
        new("9110 5.5", "CR, LF, NUL and control octets in values", "request 400, response 502", Hostile),
        new("9110 6.6.1", "Date", "kept, or added", "ResponseWriterTests.Write_keeps_the_backends_date_and_request_id"
            + " ResponseWriterTests.Write_of_a_nominated_date_writes_ours"),
        new("9110 7.6", "loops", "508 after eight passes", "IntermediaryTests.Route_to_ourselves_ends_as_508"),
        new("9110 7.6.1", "Connection and the fields it names", "removed, both ways; not those that framing, identity "
            + "or forwarding stand on", "RequestWriterTests.Write_removes_what_is_for_one_hop"
            + " RequestWriterTests.Write_keeps_what_a_client_must_not_nominate_away"
            + " IntermediaryTests.Identifier_that_counts_reaches_the_backend_whatever_connection_says"),
        new("9110 7.6.2", "Max-Forwards on OPTIONS", "answered at 0, else counted down",
            "IntermediaryTests.Options_with_max_forwards_is_answered_at_zero_and_counted_down_above"),
        new("9110 7.6.3", "Via", "added to requests", "RequestWriterTests.Write_of_http10_says_so_in_via_only"),
        new("9110 7.7", "path and query", "octet by octet, but for the front of a path that a route rewrites",
            "ForwardingTests.Backend_sees_the_request_with_who_asked_and_without_hop_by_hop_fields"
            + " RouteEditsTests.Rewrite_changes_the_front_of_the_path_and_nothing_else"),
        new("3986 5.2.4, 6.2.2", "paths that are read in several ways", "routed when all lead to one route; else 400",
            "RouteTableTests.Match_of_a_path_that_servers_read_differently_holds_for_all_of_them_or_is_refused"
            + " RouteTests.Limited_path_in_another_spelling_is_limited_or_refused"),
        new("9110 7.8", "Upgrade", "passed on; a tunnel only after a 101 that was asked for",
            "TunnelTests.Octets_go_both_ways_and_an_end_is_passed_on"
            + " TunnelTests.Refused_upgrade_leaves_the_connection_to_http"
            + " TunnelTests.Dotnet_websocket_client_and_server_talk_through_Penstock " + BadResponse),
        new("9110 9.2.2", "repeating requests", "when nothing was sent; else GET, HEAD, PUT, DELETE, OPTIONS, once",
            "FailureTests.Post_whose_connection_dies_is_delivered_once"
            + " FailureTests.Get_whose_connection_dies_without_an_answer_is_sent_once_more_at_most"
            + " FailureTests.Kept_connection_that_died_is_replaced_unseen"),
        new("9110 9.3.6, 9.3.8", "CONNECT, TRACE", "501", "IntermediaryTests.Trace_and_connect_are_not_for_a_balancer"),
        new("9110 10.1.1", "Expect: 100-continue", "passed on, and so is the 100",
            "ForwardingTests.Interim_responses_are_passed_on_and_100_continue_works"),
        new("9110 13", "conditional and range requests", "passed on, not evaluated",
            "NginxTests.Nginx_serves_small_large_chunked_and_conditional_responses_through_Penstock"),
        new("9110 15.2", "1xx", "passed on, not to HTTP/1.0",
            "ForwardingTests.Interim_responses_are_passed_on_and_100_continue_works"),
        new("9110 8.6, 15", "HEAD, 204, 304", "no body, Content-Length kept where it may be",
            "ForwardingTests.Head_204_and_304_have_no_body_and_keep_the_connection_in_step"),
        new("6585 4, 5", "429, 431", "with Retry-After, JSON and the RateLimit fields; with JSON",
            "LimitingTests.Exhausted_bucket_answers_429_with_everything_a_client_needs"
            + " BoundsTests.Head_beyond_its_bounds_is_refused"),
        new("3875", "names that differ by an underscore", "those like fields of ours are dropped",
            "IntermediaryTests.Fields_that_only_look_like_ours_do_not_reach_the_backend"),
    ];
}
