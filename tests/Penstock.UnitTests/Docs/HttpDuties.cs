namespace Penstock.UnitTests.Docs;

/// <param name="Section">Of RFC 9112 unless it says 9110.</param>
/// <param name="Behaviour">What Penstock does.</param>
/// <param name="Tests"><c>Class.Method</c>, separated by blanks.</param>
internal sealed record HttpDuty(string Section, string Duty, string Behaviour, string Tests);

/// <summary>Duties of an HTTP/1.1 intermediary, what Penstock does, and the tests of it:
/// docs/development/duties.md.</summary>
internal static class HttpDuties
{
    private const string Hostile = "HostileRequestTests.Message_hostile_is_rejected_however_it_arrives"
        + " SmugglingTests.Hostile_messages_reach_no_backend_whole_and_disturb_nobody";

    private const string BadResponse =
        "FailureTests.Response_that_is_malformed_is_a_502_and_its_connection_is_not_used_again";

    public static readonly HttpDuty[] All =
    [
        new("2.2", "bare CR, bare LF, white space before the first field", "rejected, 400", Hostile),
        new("2.2", "anything that violates the grammar", "rejected, 400, connection closed", Hostile),
        new("2.3", "the intermediary's own version on every message", "HTTP/1.1, also for HTTP/1.0 clients",
            "RequestWriterTests.Write_of_http10_says_so_in_via_only"),
        new("3", "long targets, long methods", "414, 501", "BoundsTests.Head_beyond_its_bounds_is_rejected"
            + " RequestHeadTests.Line_of_8_KiB_is_the_longest RequestHeadTests.Method_of_32_bytes_is_the_longest"),
        new("3.2", "no Host, two, or one that is not an authority", "rejected, 400",
            Hostile + " RequestHeadTests.Host_is_an_authority_or_rejected"),
        new("3.2.2", "absolute-form", "accepted; Host is the target's authority, the backend gets origin-form",
            "RequestWriterTests.Write_of_any_target_form_is_one_that_servers_know"),
        new("3.2.4", "OPTIONS without a path", "sent as *",
            "RequestWriterTests.Write_of_any_target_form_is_one_that_servers_know"),
        new("5.1", "white space before the colon", "request 400, response 502", Hostile + " " + BadResponse),
        new("5.2", "folded fields", "request 400, response 502", Hostile + " " + BadResponse),
        new("6.1", "Transfer-Encoding with Content-Length, in HTTP/1.0, in 1xx or 204", "request 400, response 502",
            Hostile + " " + BadResponse),
        new("6.1", "no chunks for HTTP/1.0 clients", "the close of the connection ends the body",
            "ForwardingTests.Http10_client_gets_no_chunks_and_is_closed_unless_it_asks"),
        new("6.2", "only one framing field", "a new field is written from the parsed framing",
            "RequestWriterTests.Write_of_framing_and_expectation_is_what_was_understood"
            + " ResponseWriterTests.Write_of_framing_is_one_or_none"),
        new("6.3", "codings other than a single chunked", "400 or 501", Hostile),
        new("6.3", "a Content-Length that is not a number, is a list, or occurs twice", "request 400, response 502",
            Hostile + " " + BadResponse),
        new("6.3, 8", "a body that is cut", "cut on the other side too; never completed",
            "FailureTests.Response_that_is_cut_is_never_taken_for_whole"
            + " FailureTests.Client_that_cuts_its_upload_is_not_taken_for_whole"),
        new("6.3, 9.2", "bytes after a response", "the backend connection is closed",
            "FailureTests.Bytes_behind_a_response_never_reach_another_client"),
        new("7.1", "chunk sizes, their overflow, chunk ends", "rejected, 400", Hostile),
        new("7.1.1", "chunk extensions", "checked, at most 4 KiB in a body, dropped",
            "BodyReaderTests.Read_chunked_extensions_are_bounded_over_the_whole_body"),
        new("7.1", "bodies that are nearly all framing",
            "400 for framing above 100 KiB and above three times the content",
            "BodyReaderTests.Read_chunked_of_a_client_is_rejected_when_it_is_nearly_all_framing"
            + " AttackTests.Body_of_one_byte_chunks_is_rejected_after_some_thousand"),
        new("7.1.2", "trailer fields", "checked, at most 8 KiB, dropped",
            "HostileRequestTests.Message_hostile_that_is_not_rejected_leaves_no_trace"),
        new("7.4", "TE", "dropped, because it is for one hop",
            "ForwardingTests.Backend_sees_the_request_with_who_asked_and_without_hop_by_hop_fields"),
        new("9.3", "answering before the body is read",
            "the connection is closed after the client has had time to read the answer",
            "ForwardingTests.Early_response_reaches_a_client_that_still_uploads"
            + " EarlyAnswerTests.Client_that_writes_first_reads_why_it_was_rejected"
            + " EarlyAnswerTests.Client_that_writes_first_reads_an_early_answer_of_the_backend"
            + " BoundsTests.Body_beyond_its_bound_is_a_413_and_is_never_whole_at_the_backend"),
        new("9.3", "persistence of HTTP/1.0 connections", "only when the client asks and the response is framed",
            "ForwardingTests.Http10_client_gets_no_chunks_and_is_closed_unless_it_asks"),
        new("9.3.2", "pipelining", "answered in order, one request at a time at a backend",
            "ForwardingTests.Pipelined_requests_are_answered_in_order_also_behind_bodies"),
        new("9.6", "nothing after close", "neither read nor sent", "FailureTests.Bad_request_says_why_and_closes"
            + " BoundsTests.Connection_closes_after_its_last_request"),
        new("9110 5.3", "unknown fields, and the order of equal ones", "kept",
            "RequestWriterTests.Write_of_a_plain_request_keeps_bytes_and_order_and_adds_ours"),
        new("9110 5.5", "CR, LF, NUL and control bytes in values", "request 400, response 502", Hostile),
        new("9110 6.6.1", "Date", "kept, or added", "ResponseWriterTests.Write_keeps_the_backends_date_and_request_id"
            + " ResponseWriterTests.Write_of_a_nominated_date_writes_ours"),
        new("9110 7.6", "loops", "508 after eight passes", "IntermediaryTests.Route_to_ourselves_ends_as_508"),
        new("9110 7.6.1", "Connection and the fields it names", "removed in both directions, except fields that "
            + "framing, identification or forwarding need", "RequestWriterTests.Write_removes_what_is_for_one_hop"
            + " RequestWriterTests.Write_keeps_what_a_client_must_not_nominate_away"
            + " IntermediaryTests.Identifier_that_counts_reaches_the_backend_whatever_connection_says"),
        new("9110 7.6.2", "Max-Forwards on OPTIONS", "answered at 0, otherwise reduced by one",
            "IntermediaryTests.Options_with_max_forwards_is_answered_at_zero_and_counted_down_above"),
        new("9110 7.6.3", "Via", "added to requests", "RequestWriterTests.Write_of_http10_says_so_in_via_only"),
        new("9110 7.7", "path and query", "unchanged, except the beginning of a path that a route rewrites",
            "ForwardingTests.Backend_sees_the_request_with_who_asked_and_without_hop_by_hop_fields"
            + " RouteEditsTests.Rewrite_changes_the_front_of_the_path_and_nothing_else"),
        new("3986 5.2.4, 6.2.2", "paths that can be read in several ways",
            "routed if all readings lead to one route, otherwise 400",
            "RouteTableTests.Match_of_a_path_that_servers_read_differently_holds_for_all_of_them_or_is_rejected"
            + " RouteTests.Limited_path_in_another_spelling_is_limited_or_rejected"),
        new("9110 7.8", "Upgrade", "forwarded, also with a body; a tunnel only after a requested 101, and "
            + "after the body", "TunnelTests.Bytes_go_both_ways_and_an_end_is_passed_on"
            + " TunnelTests.Upgrade_behind_a_body_becomes_a_tunnel"
            + " TunnelTests.Rejected_upgrade_leaves_the_connection_to_http"
            + " TunnelTests.Dotnet_websocket_client_and_server_talk_through_Penstock " + BadResponse),
        new("9110 9.2.2", "sending requests again",
            "any if nothing was sent; otherwise GET, HEAD, PUT, DELETE, OPTIONS",
            "FailureTests.Post_whose_connection_dies_is_delivered_once"
            + " FailureTests.Get_whose_connection_dies_without_an_answer_is_sent_once_more_at_most"
            + " FailureTests.Kept_connection_that_died_is_replaced_unseen"),
        new("9110 9.3.6, 9.3.8", "CONNECT, TRACE", "501", "IntermediaryTests.Trace_and_connect_are_not_for_a_balancer"),
        new("9110 10.1.1", "Expect: 100-continue",
            "forwarded, and so is the 100; a client that waits for it is not slow",
            "ForwardingTests.Interim_responses_are_passed_on_and_100_continue_works"
            + " SilentClientTests.Client_may_be_silent_while_it_waits_for_leave_and_while_it_reads"),
        new("9110 13", "conditional and range requests", "forwarded, not evaluated",
            "NginxTests.Nginx_serves_small_large_chunked_and_conditional_responses_through_Penstock"),
        new("9110 15.2", "1xx", "forwarded, but not to HTTP/1.0; 502 after a thousand for one request",
            "ForwardingTests.Interim_responses_are_passed_on_and_100_continue_works"
            + " EventOrderTests.Interim_responses_without_end_are_a_502"),
        new("9110 15.5.22", "426", "with the backend's Upgrade",
            "ResponseWriterTests.Write_of_426_says_what_to_upgrade_to"),
        new("7239", "the caller and its protocol, as proxies report them",
            "accepted from trusted proxies, otherwise replaced",
            "RequestWriterTests.Write_of_what_a_stranger_says_about_itself_drops_it"
            + " RequestWriterTests.Write_of_a_strangers_forwarded_fields_drops_them"),
        new("9110 8.6, 15", "HEAD, 204, 304", "no body; Content-Length is kept where it is allowed",
            "ForwardingTests.Head_204_and_304_have_no_body_and_keep_the_connection_in_step"),
        new("6585 4, 5", "429, 431", "with Retry-After, JSON and the RateLimit fields; with JSON",
            "LimitingTests.Exhausted_bucket_answers_429_with_everything_a_client_needs"
            + " BoundsTests.Head_beyond_its_bounds_is_rejected"),
        new("attack 1", "0.CL and CL.0: a body after Penstock's own answer", "discarded if all of it has arrived, "
            + "otherwise the connection is closed",
            "AttackTests.Body_of_a_request_that_we_answer_ourselves_is_never_a_request"),
        new("attack 2", "pause: bytes that arrive after their timeout", "408, and nothing more is read as a request",
            "AttackTests.Body_that_comes_after_its_timeout_is_never_a_request"),
        new("attack 3", "an early response while the body is being sent", "the backend connection is not used again",
            "EventOrderTests.Body_that_the_backend_did_not_want_is_never_read_as_a_request"
            + " EventOrderTests.Early_response_tells_the_client_that_the_connection_ends"),
        new("attack 4", "unknown expectations, 100 twice, 100 after the response", "417; forwarded; connection closed",
            "AttackTests.Expectation_that_is_odd_desynchronises_nobody"
            + " AttackTests.Continue_twice_or_behind_the_answer_reaches_nobody_elses_exchange"),
        new("attack 5", "a backend that closes a connection at the moment of its use",
            "sent again only if that is safe",
            "FailureTests.Kept_connection_that_died_is_replaced_unseen"
            + " EventOrderTests.Upload_never_goes_to_a_kept_connection_that_has_been_closed"),
        new("attack 6", "the queue of responses", "one request at a time on a backend connection",
            "AttackTests.Backend_connection_carries_one_request_at_a_time"),
        new("attack 7", "a head that arrives byte by byte", "408 if it is not complete in time",
            "FailureTests.Head_that_drips_is_a_408_after_the_head_timeout"
            + " BoundsTests.Body_that_drips_below_the_least_rate_is_a_408"),
        new("attack 8", "one-byte chunks, endless extensions, endless trailers", "rejected, 400",
            "AttackTests.Body_of_one_byte_chunks_is_rejected_after_some_thousand"
            + " BodyReaderTests.Read_chunked_extensions_are_bounded_over_the_whole_body"),
        new("attack 9", "HTTP/2 resets and floods", "Penstock has no HTTP/2: its preface is a bad request",
            "AttackTests.Http2_is_neither_spoken_nor_tunnelled"),
        new("attack 10", "a client that varies its name, its address or its path",
            "it counts under its address; a path whose readings lead to different routes is rejected",
            "IdentityAttackTests.Stranger_has_one_bucket_whatever_he_writes"
            + " LimitingTests.Forwarded_address_counts_only_behind_a_trusted_proxy"
            + " RouteTableTests.Match_of_a_path_that_servers_read_differently_holds_for_all_of_them_or_is_rejected"),
        new("all", "messages split at any byte", "the same as unsplit",
            "SplitTests.Request_cut_at_any_byte_reaches_the_backend_as_the_uncut_one"
            + " SplitTests.Response_cut_at_any_byte_reaches_the_client_as_the_uncut_one"),
        new("3875", "names that differ by an underscore",
            "fields like those that Penstock writes, or like one that "
            + "[identifies clients](../limits.md#one-request-one-client), are dropped",
            "IntermediaryTests.Fields_that_only_look_like_ours_do_not_reach_the_backend"),
    ];
}
