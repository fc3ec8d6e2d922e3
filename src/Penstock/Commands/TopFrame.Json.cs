using System.Text.Json.Nodes;

namespace Penstock.Commands;

/// <content>The frame of <c>penstock top --json</c>.</content>
internal sealed partial class TopFrame
{
    /// <summary>The frame in JSON; a rate is null if the earlier reading did not have its subject.</summary>
    public JsonObject Json() => new()
    {
        ["seconds"] = Rounded(_seconds),
        ["requests_per_sec"] = Rounded(PerSecond(before.Status.Requests.Total, now.Status.Requests.Total)),
        ["by_reason"] = new JsonObject(Reasons().Select(static one => new KeyValuePair<string, JsonNode?>(
            one.Key, Rounded(one.Rate)))),
        ["p50_ms"] = Rounded(QuantileMs(0.5, out _)),
        ["p95_ms"] = Rounded(QuantileMs(0.95, out _)),
        ["p99_ms"] = Rounded(QuantileMs(0.99, out _)),
        ["in_flight"] = now.Upstreams.Sum(static u => u.Backends.Sum(static b => b.InFlight)),
        ["queued"] = now.Upstreams.Sum(static u => u.Queued),
        ["warnings"] = new JsonArray([.. now.Status.Warnings.Select(static text => JsonValue.Create(text))]),
        ["backends"] = new JsonArray([.. BusiestBackends().Select(one => new JsonObject
        {
            ["upstream"] = one.upstream.Name,
            ["address"] = one.backend.Address,
            ["status"] = UpstreamsCommand.StatusOf(one.backend),
            ["requests_per_sec"] = Rounded(PerSecond(one.old?.Requests ?? 0, one.backend.Requests)),
            ["failures_per_sec"] = Rounded(PerSecond(one.old?.Failures ?? 0, one.backend.Failures)),
            ["latency_ms"] = one.backend.LatencyMs,
            ["in_flight"] = one.backend.InFlight,
            ["weight"] = one.backend.Weight,
            ["cause"] = UpstreamsCommand.CauseOf(one.backend) is { Length: > 0 } cause ? cause : null,
        })]),
        ["limits"] = new JsonArray([.. BusiestLimits().Select(pair => new JsonObject
        {
            ["name"] = pair.one.Name,
            ["admitted_per_sec"] = Rounded(PerSecond(pair.old?.Admitted ?? 0, pair.one.Admitted)),
            ["rejected_per_sec"] = Rounded(PerSecond(pair.old?.Rejected ?? 0, pair.one.Rejected)),
            ["dry_run_per_sec"] = Rounded(PerSecond(pair.old?.DryRunRejected ?? 0, pair.one.DryRunRejected)),
        })]),
        ["rejected_clients"] = new JsonArray([.. RejectedClients().Select(pair => new JsonObject
        {
            ["client"] = pair.one.Client,
            ["limit"] = pair.one.Limit,
            ["rejected_per_sec"] = pair.old is null ? null : Rounded(PerSecond(pair.old.Rejected, pair.one.Rejected)),
            ["rejected"] = pair.one.Rejected,
            ["last"] = pair.one.Last,
        })]),
        ["emptiest_buckets"] = new JsonArray([.. now.Lowest.Select(client => new JsonObject
        {
            ["client_id"] = client.ClientId,
            ["current_tokens"] = client.CurrentTokens,
            ["capacity"] = client.Capacity,
            ["rate_per_sec"] = client.RatePerSec,
            ["used_per_sec"] = Rounded(UsedPerSecond(client)),
            ["plan"] = client.Plan,
        })]),
    };

    private static double? Rounded(double? value) => value is { } number ? Math.Round(number, 3) : null;
}
