using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

[Description("A registered client and its bucket.")]
internal sealed record ClientView(
    [property: Description("The client as requests name it: an API key, a name, or an address.")] string ClientId,
    [property: Description("Tokens in a full bucket.")] long Capacity,
    [property: Description("Tokens that come back per second.")] double RatePerSec,
    [property: Description("Tokens at this moment, rounded down to thousandths.")] double CurrentTokens,
    [property: Description("Seconds until the bucket is full if nobody takes from it; told of one client by GET."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? FullInSeconds = null,
    [property: Description("Why its limit never holds as things are configured; absent when nothing is in the way."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Warnings = null)
{
    public static ClientView Look(ClientTokens client) => Of(client) with
    {
        FullInSeconds = Math.Round((client.Limit.Capacity - client.Tokens) / client.Limit.RatePerSecond, 3),
    };

    public static ClientView Of(ClientTokens client) =>
        new(client.ClientId, client.Limit.Capacity, client.Limit.RatePerSecond, Rounded(client.Tokens));

    // Down, because what is shown must be there to take; a hair above, because a bucket counts in ticks of the clock
    // and 50 must not read as 49.999.
    private static double Rounded(double tokens) => Math.Floor((tokens * 1000) + 0.01) / 1000;
}

internal sealed record ClientPage(
    IReadOnlyList<ClientView> Items,
    [property: Description("Give it as `cursor` for the next page; null on the last one.")] string? NextCursor);

[Description("What an import did, or would do.")]
internal sealed record ImportReport(
    [property: Description("Clients that were not there.")] int Created,
    [property: Description("Clients whose settings or tokens became others.")] int Updated,
    [property: Description("Clients that were so already.")] int Unchanged,
    [property: Description("Why limits of some of them never hold as things are configured; absent when nothing is in "
        + "the way."), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    IReadOnlyList<string>? Warnings = null);

internal sealed record UpstreamPage(IReadOnlyList<UpstreamStatus> Items);

[Description("Every error has this body.")]
internal sealed record ApiError(
    [property: Description("The HTTP status.")] int Code,
    [property: Description("One sentence for a person.")] string Message,
    [property: Description("Everything wrong with the request, when it is about its members."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldFault>? Errors = null,
    [property: Description("How many more there are, when not all are listed."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? More = null)
{
    public IResult ToResult() => Results.Json(this, AdminJson.Options, statusCode: Code);
}

internal sealed record Liveness([property: Description("Always `alive`.")] string Status);

internal sealed record Readiness(
    [property: Description("`ready`, `degraded` (serving, but look at the checks) or `stopping`.")] string Status,
    [property: Description("By name: `proxy`, `store`, and `cluster` where nodes share one.")]
    IReadOnlyDictionary<string, Check> Checks);

internal sealed record Check(
    [property: Description("`ok`, `failing` or `stopping`.")] string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Detail = null);

internal sealed record NodeView(
    [property: Description("Machine, process and a random part.")] string NodeId,
    [property: Description("Of Penstock.")] string Version,
    [property: Description("By the database's clock.")] DateTimeOffset StartedAt,
    [property: Description("By the database's clock; every node shows up once a second.")] DateTimeOffset LastSeen,
    [property: Description("Seen within ten seconds.")] bool Alive);

internal sealed record ClusterLink(
    [property: Description("`connected`, or `alone`: the database is out of reach, limits are this node's share.")]
    string Status,
    [property: Description("When it last changed, by this machine's clock.")] DateTimeOffset Since,
    [property: Description("Why it is alone."), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    string? Cause,
    [property: Description("Edits up to this version are in force at this node.")] long ClientsVersion,
    [property: Description("Statements that asked for tokens since the start.")] long LeaseStatements,
    [property: Description("Tokens that they brought.")] long LeasedTokens,
    [property: Description("Requests that waited for such a statement since the start.")] long LeaseWaits,
    [property: Description("Those that waited for `timeouts.tokens` in vain.")] long LeaseWaitTimeouts,
    [property: Description("Requests that wait now.")] int LeaseWaiting);

[Description("The nodes that share this one's store, as it last saw them.")]
internal sealed record ClusterReport(
    [property: Description("This node.")] string NodeId, ClusterLink Link, IReadOnlyList<NodeView> Nodes);

// What POST, PUT and PATCH take, for the OpenAPI document. Bodies are read by ClientBody, which can name every fault.

internal sealed record NewClient(
    [property: MinLength(1), MaxLength(256), Description("Printable characters.")] string ClientId,
    [property: Range(1, 1_000_000_000)] long Capacity,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity; a full bucket when absent.")]
    double CurrentTokens = 0);

internal sealed record ClientSettings(
    [property: Range(1, 1_000_000_000)] long Capacity,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity; when absent a client keeps its tokens.")]
    double CurrentTokens = 0,
    [property: Description("What was read may be sent back; must equal the one in the path.")] string ClientId = "")
{
    public const string RateDescription = "Tokens per second, from one a day; fractions are fine.";
}

internal sealed record ClientPatch(
    [property: Range(1, 1_000_000_000)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity.")] double CurrentTokens = 0,
    [property: Description("Must equal the one in the path.")] string ClientId = "");

internal static class AdminJson
{
    public static JsonSerializerOptions Options { get; } = Configure(new(JsonSerializerDefaults.Web));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping; // bodies are never put into HTML
        if (options.Converters.Count == 0)
            options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
        return options;
    }
}
