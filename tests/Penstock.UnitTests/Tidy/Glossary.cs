namespace Penstock.UnitTests.Tidy;

/// <summary>A word of this project.</summary>
/// <param name="Word">As it stands in sentences and names.</param>
/// <param name="Meaning">Its one meaning.</param>
/// <param name="Not">Words that would mean the same and are therefore not used, as patterns.</param>
/// <param name="But">Where one of these words stands all the same, as patterns of the text around it.</param>
internal sealed record Term(string Word, string Meaning, string[]? Not = null, string[]? But = null);

/// <summary>The words of the project: one word, one meaning. ARCHITECTURE.md shows them; <see cref="GlossaryTests"/>
/// holds names, comments, messages and documents to them.</summary>
internal static class Glossary
{
    public static readonly Term[] Words =
    [
        new("Listener", "a place where clients connect"),
        new("Client", "the party that is limited: an API key, a name, an address"),
        new("Limit", "a bound on requests, by name: capacity and rate, or how many at the same time"),
        new("Bucket", "one client's tokens under one limit"),
        new("Admit, reject", "what a limit does with a request; *reject* also what Penstock does with a message, a "
            + "file or an edit that it does not accept", ["(?i)refus"],
            ["(?i)connection[s_]? ?refused", "(?i)refuse[sd]?[s_]?( the| a| new)? ?connection", "penstock_refuse",
                "TRIGGER refuse", "^\\| Refused \\|"]),
        new("Refused", "a TCP connection that the other side did not accept"),
        new("Node", "one Penstock process of several that share a store", ["(?i)replica\\b"]),
        new("Lease", "tokens that a node took out of a bucket that nodes share"),
        new("Plan", "capacity and rate that several clients share by name"),
        new("Route", "host + path + method → upstream and limit"),
        new("Upstream", "a named group of equal servers (HAProxy \"backend\", Envoy and YARP \"cluster\")"),
        new("Backend", "one server of an upstream (HAProxy \"server\", YARP \"destination\")", ["(?i)origin server"]),
        new("Balancer", "picks a backend"),
        new("Connection pool", "one loop's idle connections to one backend; the only \"pool\" but the buffers'"),
        new("Active health check", "a request that Penstock sends to ask whether a backend works"),
        new("Ejection", "a backend gets no requests for a time, because live requests failed there",
            ["(?i)evict", "(?i)blacklist"]),
        new("Sticky session", "a client that stays at one backend by a cookie"),
        new("Slot", "a place at a backend below its `max_connections`; requests wait for one in the slot queue"),
        new("Retry budget", "how many retries an upstream may make, as a share of its requests"),
        new("Snapshot", "the immutable, compiled configuration in force"),
        new("Exchange", "one request and its response"),
        new("Attempt", "one try of an exchange at one backend"),
        new("Ruling", "what happens to a request, decided before a backend is picked"),
        new("Outcome", "how an exchange ended: the `reason` of the access log"),
        new("Byte", "eight bits, of a message or of memory", ["(?i)octet"], ["octet-stream"]),
        new("max, min", "bounds, in names and keys; sentences say *at most* and *at least*",
            ["(?<![A-Za-z])_?(most|Most|least|Least)(?=[A-Z])"],
            ["[Ll]east(Connections|Time|Requests)", "MostLimited"]),
    ];

    /// <summary>Phrases that a reader must guess at, as patterns. Say the fact instead: who does what.</summary>
    public static readonly string[] Riddles =
    [
        "\\bof ours\\b", "\\bour own\\b", "\\bin vain\\b", "\\bmeanwhile\\b", "\\bgoes on\\b", "\\banew\\b",
        "\\bowes\\b", "\\bnobody's\\b", "\\bno sooner than\\b", "\\bas long as there is\\b",
    ];
}
