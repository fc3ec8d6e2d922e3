using System.Text.Json.Nodes;
using Microsoft.OpenApi;

namespace Penstock.Control.Admin;

/// <summary>An example of each operation of the API, by operation id. A test sends them to a running
/// Penstock.</summary>
internal static class OpenApiExamples
{
    public const string Error = """
        {"code":400,"message":"capacity must be a number, not a text",
         "errors":[{"field":"capacity","message":"must be a number, not a text"}]}
        """;

    private const string Client = """{"client_id":"user1","capacity":100,"rate_per_sec":10,"current_tokens":87.5}""";
    private const string Plan = """{"name":"gold","capacity":1000,"rate_per_sec":50,"clients":12,"source":"api"}""";
    private const string Settings = """{"capacity":200,"rate_per_sec":20}""";

    private const string Rejection = """
        {"time":"2026-11-21T04:05:06+00:00","client":"user1","identified_by":"header:X-API-Key","limit":"default",
         "tokens":0.2,"retry_after":0.08,"route":"/*","times":3}
        """;

    private const string LimitedClient = """
        {"client":"user1","limit":"default","rejected":120,"error":0,"last":"2026-11-21T04:05:06+00:00"}
        """;

    private const string Explanation = """
        {"verdict":"ok","client":"user1","identified_by":"header:X-API-Key","limits":[],"upstream":"web",
         "candidates":[],"pick":"127.0.0.1:9001"}
        """;

    private const string Lines = """
        {"client_id":"user2","capacity":100,"rate_per_sec":10}
        {"client_id":"user3","capacity":5,"rate_per_sec":0.5}

        """;

    private const string Rows = """
        client_id,capacity,rate_per_sec
        user2,100,10
        user3,5,0.5

        """;

    private const string JsonLog = """
        {"time":"2026-11-21T04:05:06.000Z","client":"user1","reason":"ok"}
        {"time":"2026-11-21T04:05:06.100Z","client":"user1","reason":"ok"}
        {"time":"2026-11-21T04:05:06.200Z","client":"user2","reason":"ok"}

        """;

    private const string CombinedLog = """
        192.0.2.1 - - [21/Nov/2026:04:05:06 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.5.0"
        192.0.2.1 - - [21/Nov/2026:04:05:06 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.5.0"

        """;

    private const string Simulated = """
        {"capacity":1,"rate_per_sec":1,"first":"2026-11-21T04:05:06Z","last":"2026-11-21T04:05:06.200Z","requests":3,
         "rejected":1,"rejected_share":0.333333,"rejected_in_log":0,"decided_as_in_log":2,"not_limited":0,
         "events":0,"bad_lines":0,"target":0.01,"smallest_capacity":2,"clients":2,
         "worst_seconds":[{"time":"2026-11-21T04:05:06Z","rejected":1}],
         "hardest_clients":[{"client":"user1","requests":2,"rejected":1,"rejected_share":0.5,
          "worst_second":"2026-11-21T04:05:06Z","worst_second_rejected":1,"capacity_for_none":2}],
         "first_bad_lines":[],
         "grid":{"rates":[0.7,1,1.5],"capacities":[1,2],"rejected":[[1,0],[1,0],[1,0]],
          "worst_second":[[1,0],[1,0],[1,0]],"smallest_capacity":[2,2,2]}}
        """;

    private const string Metrics = """
        # HELP penstock_backend_weight The weight in force.
        # TYPE penstock_backend_weight gauge
        penstock_backend_weight{upstream="web",backend="127.0.0.1:9001"} 1

        """;

    /// <summary>The first state of a stream, without most of its members.</summary>
    private const string States = """
        event: state
        data: {"time":"2026-11-21T04:05:06+00:00","stopping":false,"warnings":[],"requests":4711}


        """;

    private const string Lines15m = """
        {"requests_per_sec":[120],"failed_per_sec":[0.5],"rejected_per_sec":[2.5],"p50_ms":[1.2],"p99_ms":[9.8]}
        """;

    private static readonly (string, string) User = ("client_id", "user1");
    private static readonly (string, string) Gold = ("name", "gold");
    private static readonly (string, string) Web = ("name", "web");
    private static readonly (string, string) First = ("address", "127.0.0.1:9001");
    private static readonly (string, string) Second = ("address", "127.0.0.1:9002");

    private static readonly Dictionary<string, Example> All = new(StringComparer.Ordinal)
    {
        ["listClients"] = new(null, $$"""{"items":[{{Client}}],"next_cursor":"dXNlcjE"}""", ("limit", "1")),
        ["getClient"] = new(null, Client, User),
        ["createClient"] = new("""{"client_id":"user1","capacity":100,"rate_per_sec":10}""", Client),
        ["putClient"] = new(Settings, Client, User),
        ["patchClient"] = new("""{"rate_per_sec":0.5}""", Client, User),
        ["deleteClient"] = new(null, null, User),
        ["resetClient"] = new(null, Client, User),
        ["exportClients"] = new(null, Lines, ("format", "jsonl")) { Csv = Rows },
        ["importClients"] = new(Lines, """{"created":2,"updated":0,"unchanged":0}""", ("mode", "upsert"))
        {
            Csv = Rows,
        },
        ["listPlans"] = new(null, $$"""{"items":[{{Plan}}]}"""),
        ["getPlan"] = new(null, Plan, Gold),
        ["putPlan"] = new("""{"capacity":1000,"rate_per_sec":50}""", Plan, Gold),
        ["patchPlan"] = new("""{"rate_per_sec":20}""", Plan, Gold),
        ["deletePlan"] = new(null, null, Gold),
        ["listUpstreams"] = new(null, $$"""
            {"items":[{"name":"web","balance":"round_robin","queued":0,"retries":2,"retries_rejected":0,
             "backends":[{{Backend("127.0.0.1:9001")}}]}]}
            """),
        ["getBackend"] = new(null, Backend("127.0.0.1:9001"), Web, First),
        ["addBackend"] = new("""{"url":"http://127.0.0.1:9002","weight":2}""",
            Backend("127.0.0.1:9002", added: true, weight: 2), Web),
        ["patchBackend"] = new("""{"state":"drain"}""", Backend("127.0.0.1:9001", state: "drain"), Web, First),
        ["removeBackend"] = new(null, null, Web, Second, ("in_flight", "finish")),
        ["explain"] = new("""{"method":"GET","path":"/v1/orders","headers":{"X-API-Key":"user1"}}""", Explanation),
        ["listRejections"] = new(null, $$"""{"items":[{{Rejection}}]}""", ("limit", "10")),
        ["listLimitedClients"] = new(null, $$"""{"items":[{{LimitedClient}}],"displaced_buckets":0}""",
            ("limit", "10")),
        ["listLowestBuckets"] = new(null, """{"items":[]}""", ("limit", "10")),
        ["simulate"] = new(JsonLog, Simulated, ("capacity", "1"), ("rate", "1/s"), ("target", "1%"))
        {
            Plain = CombinedLog,
        },
        ["getStatus"] = new(null, """{"version":"0.1.0","clients":1,"warnings":[]}"""),
        ["getLogLevel"] = new(null, """{"level":"info","configured":"info"}"""),
        ["setLogLevel"] = new("""{"level":"info"}""", """{"level":"info","configured":"info"}"""),
        ["getMetrics"] = new(null, Metrics),
        ["getConfig"] = new(null, """
            {"file":"penstock.yaml","read_at":"2026-11-21T04:05:06+00:00","reload_failed":false,
             "settings":[{"key":"upstreams.web.backends[0].weight","value":"2","origin":"penstock.yaml:12"}]}
            """),
        ["reload"] = new(null, """
            {"changes":["~ upstreams.web.backends[0].weight: 1 -> 2"],"warnings":[],"restart_needed":["loops"]}
            """),
        ["getReload"] = new(null, """
            {"time":"2026-11-21T04:05:06+00:00","error":"the file has an error","changes":[],
             "remarks":[{"field":"penstock.yaml:7:12","message":"unknown key 'bakends'; did you mean 'backends'?"}],
             "restart_needed":[]}
            """),
        ["streamEvents"] = new(null, States),
        ["getHistory"] = new(null, $$"""
            {"window":"15m","step_seconds":5,"times":["2026-11-21T04:05:06+00:00"],"all":{{Lines15m}},
             "by_status":{"1xx":[0],"2xx":[117],"3xx":[0],"4xx":[2.5],"5xx":[0.5],"none":[0]},
             "series":[{"upstream":"web","backend":null,"lines":{{Lines15m}}}],"marks":[]}
            """, ("window", "15m")),
        ["getCluster"] = new(null, """
            {"node_id":"db1-4242-5a1b2c3d","link":{"status":"connected","since":"2026-11-21T04:05:06+00:00",
             "clients_version":7,"lease_statements":90,"leased_tokens":1800,"lease_waits":3,"lease_wait_timeouts":0,
             "lease_waiting":0},"nodes":[{"node_id":"db1-4242-5a1b2c3d","version":"0.1.0",
             "started_at":"2026-11-21T04:05:06+00:00","last_seen":"2026-11-21T05:05:06+00:00","alive":true}]}
            """),
        ["livez"] = new(null, """{"status":"alive"}"""),
        ["readyz"] = new(null, """{"status":"ready","checks":{"proxy":{"status":"ok"},"store":{"status":"ok"}}}"""),
    };

    /// <param name="Body">The body of the request; null: none.</param>
    /// <param name="Answer">The body of the answer; null: none.</param>
    /// <param name="Parameters">Names and values.</param>
    private sealed record Example(string? Body, string? Answer, params (string Name, string Value)[] Parameters)
    {
        /// <summary>What stands for the body or, if there is none, for the answer in CSV.</summary>
        public string? Csv { get; init; }

        /// <summary>What stands for the body in plain text.</summary>
        public string? Plain { get; init; }
    }

    public static void AddTo(OpenApiOperation operation)
    {
        if (!All.TryGetValue(operation.OperationId ?? "", out Example? example))
        {
            return;
        }
        foreach (OpenApiParameter parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
        {
            parameter.Example = example.Parameters.Where(known => known.Name == parameter.Name)
                .Select(static known => JsonValue.Create(known.Value)).FirstOrDefault();
        }
        Set(operation.RequestBody?.Content, example.Body, example.Csv, example.Plain);
        foreach ((string status, IOpenApiResponse response) in operation.Responses ?? [])
        {
            if (status.StartsWith('2'))
            {
                Set(response.Content, example.Answer, example.Body is null ? example.Csv : null, example.Answer);
            }
        }
    }

    private static void Set(
        IDictionary<string, OpenApiMediaType>? content, string? text, string? csv, string? plain)
    {
        foreach ((string type, OpenApiMediaType media) in content ?? new Dictionary<string, OpenApiMediaType>())
        {
            media.Example = TextFor(type) is not { } shown ? null
                : type.EndsWith("json", StringComparison.Ordinal) && type != ClientFileEndpoints.JsonLines
                    ? JsonNode.Parse(shown) : JsonValue.Create(shown);
        }

        string? TextFor(string type) => type switch
        {
            ClientFileEndpoints.Csv => csv,
            SimulationEndpoints.PlainText => plain,
            _ => text,
        };
    }

    private static string Backend(string address, bool added = false, string state = "ready", int weight = 1) => $$"""
        {"address":"{{address}}","name":null,"added":{{(added ? "true" : "false")}},"stored":false,
         "weight":{{weight}},"slow_start":1,
         "backup":false,"max_connections":0,"state":"{{state}}","drained":false,"health":"down",
         "cause":"connection refused (3 of 3 checks)","changed_at":"2026-11-21T04:05:06+00:00","health_changes":1,
         "ejected":null,"ejected_until":null,"ejection_ignored":false,"ejections":0,"latency_ms":1.25,"in_flight":0,
         "requests":120,"failures":3,"checks_passed":40,"checks_failed":3}
        """;
}
