using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

[Description("A registered client and its bucket.")]
internal sealed record ClientView
{
    [Description("The client's id in requests: an API key, a name, or an address.")]
    public required string ClientId { get; init; }

    [Description("Tokens in a full bucket. Absent if only the client's access is set.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required long? Capacity { get; init; }

    [Description("Tokens that are refilled per second.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? RatePerSec { get; init; }

    [Description("Tokens in the bucket now, rounded down to thousandths.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required double? CurrentTokens { get; init; }

    [Description("Seconds until the bucket is full if no request uses it; only in `GET` of one client.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? FullInSeconds { get; init; }

    [Description("The plan that gives capacity and rate; absent if the client has its own.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Plan { get; init; }

    [Description("`blocked`: every request gets 403; `exempt`: no limit applies. Absent: `limited`.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ClientAccess? Access { get; init; }

    [Description("The client's own numbers for limits of the configuration, by limit name.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, Numbers>? Limits { get; init; }

    [Description("Why this configuration never applies the client's limit; absent if it does.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Warnings { get; init; }

    public static ClientView Show(ClientState client) => Of(client) with
    {
        FullInSeconds = client.Terms is { HasNumbers: false } ? null
            : Math.Round((client.Limit.Capacity - client.Tokens) / client.Limit.RatePerSecond, 3),
    };

    public static ClientView Of(ClientState client)
    {
        if (client.Terms is not { } terms)
        {
            return Of(client, hasNumbers: true);
        }

        return Of(client, terms.HasNumbers) with
        {
            Plan = terms.Plan,
            Access = terms.Access == ClientAccess.Limited ? null : terms.Access,
            Limits = terms.Limits.Count == 0 ? null : terms.Limits.ToDictionary(static own => own.Name,
                static own => new Numbers(own.Numbers.Capacity, own.Numbers.RatePerSecond)),
        };
    }

    private static ClientView Of(ClientState client, bool hasNumbers) => new()
    {
        ClientId = client.ClientId,
        Capacity = hasNumbers ? client.Limit.Capacity : null,
        RatePerSec = hasNumbers ? client.Limit.RatePerSecond : null,
        CurrentTokens = hasNumbers ? Rounded(client.Tokens) : null,
    };

    // Rounds down, so that all shown tokens can be taken. Adds 0.01 thousandths first, because a bucket counts in ticks
    // of the clock and 50 must not show as 49.999.
    private static double Rounded(double tokens) => Math.Floor((tokens * 1000) + 0.01) / 1000;
}

[Description("A capacity and a rate.")]
internal sealed record Numbers(
    [property: Range(1, 1_000_000_000), Description("Tokens in a full bucket.")] long Capacity,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec);

internal sealed record ClientPage(
    IReadOnlyList<ClientView> Items,
    [property: Description("The `cursor` of the next page; null on the last page.")] string? NextCursor);

[Description("What an import did, or would do with `dry_run`.")]
internal sealed record ImportReport(
    [property: Description("New clients.")] int Created,
    [property: Description("Clients whose settings or tokens changed.")] int Updated,
    [property: Description("Clients that already had these settings.")] int Unchanged,
    [property: Description("Why this configuration never applies the limits of some clients; absent if it applies "
        + "all."), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    IReadOnlyList<string>? Warnings = null);

internal sealed record UpstreamPage(IReadOnlyList<UpstreamStatus> Items);

[Description("Every error has this body.")]
internal sealed record ApiError(
    [property: Description("The HTTP status.")] int Code,
    [property: Description("The error as a sentence.")] string Message,
    [property: Description("All faults of the request's parameters and members."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldFault>? Errors = null,
    [property: Description("How many more faults there are, if not all are listed."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? More = null)
{
    public IResult ToResult() => Results.Json(this, AdminJson.Types.ApiError, statusCode: Code);
}

internal sealed record Liveness([property: Description("Always `alive`.")] string Status);

internal sealed record Readiness(
    [property: Description("`ready`, `degraded` (serves requests, but a check fails) or `stopping`.")] string Status,
    [property: Description("By name: `proxy`, `store`, `cluster` if nodes share the store, and `certificates` if a "
        + "listener has TLS or Penstock gets certificates by ACME.")]
    IReadOnlyDictionary<string, Check> Checks);

internal sealed record Check(
    [property: Description("`ok`, `failing` or `stopping`.")] string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Detail = null);

internal sealed record NodeView(
    [property: Description("Machine, process and a random part.")] string NodeId,
    [property: Description("The version of Penstock.")] string Version,
    [property: Description("When the node started, by the database's clock.")] DateTimeOffset StartedAt,
    [property: Description("The last heartbeat, by the database's clock; a node sends one per second.")]
    DateTimeOffset LastSeen,
    [property: Description("True if the last heartbeat is at most ten seconds old.")] bool Alive);

internal sealed record ClusterLink
{
    [Description("`connected`, or `alone`: the database is unreachable, and this node grants its share of "
        + "each limit.")]
    public required string Status { get; init; }

    [Description("When the status last changed, by this machine's clock.")]
    public required DateTimeOffset Since { get; init; }

    [Description("Why the node is alone.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required string? Cause { get; init; }

    [Description("Edits up to this version are in force at this node.")]
    public required long ClientsVersion { get; init; }

    [Description("Statements that asked for tokens since the start.")]
    public required long LeaseStatements { get; init; }

    [Description("Tokens that these statements granted.")]
    public required long LeasedTokens { get; init; }

    [Description("Requests that waited for such a statement since the start.")]
    public required long LeaseWaits { get; init; }

    [Description("Requests that got no token within `timeouts.tokens`.")]
    public required long LeaseWaitTimeouts { get; init; }

    [Description("Requests that are waiting now.")]
    public required int LeaseWaiting { get; init; }
}

[Description("The nodes that share the store, as this node last saw them.")]
internal sealed record ClusterReport(
    [property: Description("This node.")] string NodeId, ClusterLink Link, IReadOnlyList<NodeView> Nodes);

// The bodies of POST, PUT and PATCH, for the OpenAPI document. ClientBody reads them, because it can report all faults.

internal sealed record NewClient(
    [property: StringLength(256, MinimumLength = 1), Description("Printable characters.")] string ClientId,
    [property: Range(1, 1_000_000_000), Description(ClientSettings.CapacityDescription)]
    long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("At most the capacity; default: a full bucket.")]
    double CurrentTokens = 0,
    [property: Description(ClientSettings.PlanDescription)] string? Plan = null,
    [property: Description(ClientSettings.AccessDescription)] ClientAccess Access = ClientAccess.Limited,
    [property: Description(ClientSettings.LimitsDescription)] IReadOnlyDictionary<string, Numbers>? Limits = null);

internal sealed record ClientSettings(
    [property: Range(1, 1_000_000_000), Description(ClientSettings.CapacityDescription)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("At most the capacity; if absent, the client keeps its tokens.")]
    double CurrentTokens = 0,
    [property: Description(ClientSettings.PlanDescription)] string? Plan = null,
    [property: Description(ClientSettings.AccessDescription)] ClientAccess Access = ClientAccess.Limited,
    [property: Description(ClientSettings.LimitsDescription)] IReadOnlyDictionary<string, Numbers>? Limits = null,
    [property: Description("If given, it must equal the id in the path.")] string ClientId = "")
{
    public const string CapacityDescription = "Required together with `rate_per_sec`, unless there is a `plan` or "
        + "`access` is `blocked` or `exempt`.";
    public const string RateDescription = "Tokens per second, at least one in 100 days; may be a fraction.";
    public const string PlanDescription = "The name of a plan, instead of a capacity and a rate.";
    public const string AccessDescription = "`blocked`: every request gets 403; `exempt`: no limit applies. If absent, "
        + "it stays; a new client is `limited`.";
    public const string LimitsDescription = "The client's own numbers for limits of the configuration that count by "
        + "client, by limit name. If absent, they stay.";
}

internal sealed record ClientPatch(
    [property: Range(1, 1_000_000_000)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("At most the capacity.")] double CurrentTokens = 0,
    [property: Description("The name of a plan; null: the client leaves its plan and keeps the plan's numbers.")]
    string? Plan = null,
    [property: Description("`limited`, `blocked` or `exempt`; null: `limited`.")]
    ClientAccess? Access = ClientAccess.Limited,
    [property: Description("By limit name; null removes the client's numbers for that limit, or all of them.")]
    IReadOnlyDictionary<string, NumbersPatch?>? Limits = null,
    [property: Description("If given, it must equal the id in the path.")] string ClientId = "");

[Description("A capacity and a rate for many clients.")]
internal sealed record PlanView(
    [property: Description("Up to 64 letters, digits, `-`, `_` and `.`.")] string Name,
    [property: Description("Tokens in a full bucket.")] long Capacity,
    [property: Description("Tokens that are refilled per second.")] double RatePerSec,
    [property: Description("How many clients have the plan.")] long Clients,
    [property: Description("`config`: only the configuration file can change the plan; `api`: the API can.")]
    string Source);

internal sealed record PlanPage(IReadOnlyList<PlanView> Items);

internal sealed record NumbersPatch(
    [property: Range(1, 1_000_000_000)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0);
