using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Penstock.Control.Dashboard;
using Penstock.Control.Simulation;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary>The JSON options of every body of the admin API and of its OpenAPI document.</summary>
internal static class AdminJson
{
    public static AdminTypes Types { get; } = new(Configure(new(JsonSerializerDefaults.Web)));

    /// <summary>Reads the answers of an API: a member that is missing, or null where it must not be, is a fault.
    /// </summary>
    public static AdminTypes Answers { get; } = new(Configure(new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    }));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.TypeInfoResolver = AdminTypes.Default; // a native program has no reflection for this
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping; // bodies are never put into HTML
        options.Converters.Clear();
        options.Converters.Add(Word<BackendHealth>());
        options.Converters.Add(Word<BackendState>());
        options.Converters.Add(Word<BalanceAlgorithm>());
        options.Converters.Add(Word<ClientAccess>());
        options.Converters.Add(Word<MinLevel>());
        options.Converters.Add(Word<LimitKey>());
        return options;
    }

    private static JsonStringEnumConverter<T> Word<T>() where T : struct, Enum => new(JsonNamingPolicy.SnakeCaseLower);
}

/// <summary>The types of request and answer bodies. A type that is missing here fails at its first use, in every
/// build.</summary>
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(BackendPatch))]
[JsonSerializable(typeof(BackendStatus))]
[JsonSerializable(typeof(ClientPage))]
[JsonSerializable(typeof(ClientPatch))]
[JsonSerializable(typeof(ClientSettings))]
[JsonSerializable(typeof(ClusterReport))]
[JsonSerializable(typeof(ConfigView))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(ExplainRequest))]
[JsonSerializable(typeof(ImportReport))]
[JsonSerializable(typeof(HistoryView))]
[JsonSerializable(typeof(LastReload))]
[JsonSerializable(typeof(LimitedClientPage))]
[JsonSerializable(typeof(LiveState))]
[JsonSerializable(typeof(Liveness))]
[JsonSerializable(typeof(LogLevelView))]
[JsonSerializable(typeof(LowestBuckets))]
[JsonSerializable(typeof(NewBackend))]
[JsonSerializable(typeof(NewClient))]
[JsonSerializable(typeof(NewLogLevel))]
[JsonSerializable(typeof(Numbers))]
[JsonSerializable(typeof(NumbersPatch))]
[JsonSerializable(typeof(PlanPage))]
[JsonSerializable(typeof(PlanView))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, Numbers>))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(RejectionPage))]
[JsonSerializable(typeof(Reloaded))]
[JsonSerializable(typeof(SimulationReport))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(UpstreamPage))]
internal sealed partial class AdminTypes : JsonSerializerContext;
