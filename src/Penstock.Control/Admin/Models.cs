using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

[Description("A registered client and its bucket.")]
internal sealed record ClientView(
    [property: Description("The client as requests name it: an API key, a name, or an address.")] string ClientId,
    [property: Description("Tokens in a full bucket. Absent for a client that was only blocked or exempted."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Capacity,
    [property: Description("Tokens that come back per second."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? RatePerSec,
    [property: Description("Tokens at this moment, rounded down to thousandths."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? CurrentTokens,
    [property: Description("Seconds until the bucket is full if nobody takes from it; told of one client by GET."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? FullInSeconds = null,
    [property: Description("The plan that capacity and rate are from; absent where they are the client's own."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Plan = null,
    [property: Description("`blocked`: every request gets 403; `exempt`: no limit holds it. Absent: `limited`."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ClientAccess? Access = null,
    [property: Description("Its own numbers for limits of the configuration, by their names."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    IReadOnlyDictionary<string, Numbers>? Limits = null,
    [property: Description("Why its limit never holds as things are configured; absent when nothing is in the way."),
        JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Warnings = null)
{
    public static ClientView Show(ClientState client) => Of(client) with
    {
        FullInSeconds = client.Terms is { HasNumbers: false } ? null
            : Math.Round((client.Limit.Capacity - client.Tokens) / client.Limit.RatePerSecond, 3),
    };

    public static ClientView Of(ClientState client)
    {
        if (client.Terms is not { } terms)
        {
            return new(client.ClientId, client.Limit.Capacity, client.Limit.RatePerSecond, Rounded(client.Tokens));
        }

        bool has = terms.HasNumbers;
        return new(client.ClientId, has ? client.Limit.Capacity : null, has ? client.Limit.RatePerSecond : null,
            has ? Rounded(client.Tokens) : null, Plan: terms.Plan,
            Access: terms.Access == ClientAccess.Limited ? null : terms.Access,
            Limits: terms.Limits.Count == 0 ? null : terms.Limits.ToDictionary(static own => own.Name,
                static own => new Numbers(own.Numbers.Capacity, own.Numbers.RatePerSecond)));
    }

    // Down, because what is shown must be there to take; a hair above, because a bucket counts in ticks of the clock
    // and 50 must not read as 49.999.
    private static double Rounded(double tokens) => Math.Floor((tokens * 1000) + 0.01) / 1000;
}

[Description("A capacity and a rate.")]
internal sealed record Numbers(
    [property: Range(1, 1_000_000_000), Description("Tokens in a full bucket.")] long Capacity,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec);

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
    public IResult ToResult() => Results.Json(this, AdminJson.Types.ApiError, statusCode: Code);
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
    [property: StringLength(256, MinimumLength = 1), Description("Printable characters.")] string ClientId,
    [property: Range(1, 1_000_000_000), Description(ClientSettings.CapacityDescription)]
    long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity; a full bucket when absent.")]
    double CurrentTokens = 0,
    [property: Description(ClientSettings.PlanDescription)] string? Plan = null,
    [property: Description(ClientSettings.AccessDescription)] ClientAccess Access = ClientAccess.Limited,
    [property: Description(ClientSettings.LimitsDescription)] IReadOnlyDictionary<string, Numbers>? Limits = null);

internal sealed record ClientSettings(
    [property: Range(1, 1_000_000_000), Description(ClientSettings.CapacityDescription)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity; when absent a client keeps its tokens.")]
    double CurrentTokens = 0,
    [property: Description(ClientSettings.PlanDescription)] string? Plan = null,
    [property: Description(ClientSettings.AccessDescription)] ClientAccess Access = ClientAccess.Limited,
    [property: Description(ClientSettings.LimitsDescription)] IReadOnlyDictionary<string, Numbers>? Limits = null,
    [property: Description("What was read may be sent back; must equal the one in the path.")] string ClientId = "")
{
    public const string CapacityDescription = "Required with `rate_per_sec`, unless there is a `plan`, or `access` "
        + "says that no limit holds.";
    public const string RateDescription = "Tokens per second, from one in 100 days; fractions are fine.";
    public const string PlanDescription = "The name of a plan, instead of a capacity and a rate.";
    public const string AccessDescription = "`blocked`: every request gets 403; `exempt`: no limit holds it. When "
        + "absent it stays, a new client is `limited`.";
    public const string LimitsDescription = "Numbers of its own for limits of the configuration that count by client, "
        + "by their names. When absent they stay.";
}

internal sealed record ClientPatch(
    [property: Range(1, 1_000_000_000)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0,
    [property: Range(0, 1_000_000_000), Description("Up to the capacity.")] double CurrentTokens = 0,
    [property: Description("The name of a plan; null: the plan's numbers become the client's own.")]
    string? Plan = null,
    [property: Description("`limited`, `blocked` or `exempt`.")] ClientAccess Access = ClientAccess.Limited,
    [property: Description("By the names of limits; null takes the client's numbers for one away.")]
    IReadOnlyDictionary<string, Numbers?>? Limits = null,
    [property: Description("Must equal the one in the path.")] string ClientId = "");

[Description("A capacity and a rate that many clients have.")]
internal sealed record PlanView(
    [property: Description("Up to 64 letters, digits, `-`, `_` and `.`.")] string Name,
    [property: Description("Tokens in a full bucket.")] long Capacity,
    [property: Description("Tokens that come back per second.")] double RatePerSec,
    [property: Description("How many clients have it.")] long Clients,
    [property: Description("`config`: only the configuration file can change it; `api`.")] string Source);

internal sealed record PlanPage(IReadOnlyList<PlanView> Items);

internal sealed record PlanPatch(
    [property: Range(1, 1_000_000_000)] long Capacity = 0,
    [property: Range(0, 1_000_000, MinimumIsExclusive = true), Description(ClientSettings.RateDescription)]
    double RatePerSec = 0);
