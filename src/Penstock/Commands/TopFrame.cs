using System.Globalization;
using Penstock.Control.Admin;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary>A table of <c>penstock top</c>.</summary>
internal sealed record TopTable(IReadOnlyList<Column> Columns, IReadOnlyList<string[]> Rows);

/// <summary>What <c>penstock top</c> shows of two readings. The rates are the differences of their counts. Pure.
/// </summary>
/// <param name="before">The earlier reading.</param>
/// <param name="now">The later one.</param>
/// <param name="limit">The maximum number of rows of each table.</param>
internal sealed partial class TopFrame(TopReading before, TopReading now, int limit)
{
    private readonly double _seconds = Math.Max(now.Seconds - before.Seconds, 1e-3);

    /// <summary>Penstock has restarted in between, so its counts began again from 0.</summary>
    private bool Restarted => before.Status.StartedAt != now.Status.StartedAt;

    public IEnumerable<string> Lines()
    {
        StatusReport status = now.Status;
        yield return $"Penstock {status.Version}, "
            + $"up {Lasting.Of(status.UptimeSeconds)}, "
            + $"{Counted.Of(status.Connections, "connection")}, "
            + $"{Counted.Of(status.Clients, "registered client")}, store {status.Store.Name}";
        yield return string.Join(", ", Reasons()
            .Select(static one => $"{Text(one.Rate)} {one.Key}")
            .Prepend($"{Rate(before.Status.Requests.Total, status.Requests.Total)} requests/s"));
        yield return $"latency p50 {Quantile(0.5)}, p95 {Quantile(0.95)}, p99 {Quantile(0.99)}; "
            + $"{now.Upstreams.Sum(static u => u.Backends.Sum(static b => b.InFlight))} in flight, "
            + $"{now.Upstreams.Sum(static u => u.Queued)} waiting";
        foreach (string warning in status.Warnings)
        {
            yield return $"warning: {warning}";
        }
    }

    private IEnumerable<(string Key, double Rate)> Reasons() => now.Status.Requests.ByReason
        .Select(one => (one.Key,
            Rate: PerSecond(before.Status.Requests.ByReason.GetValueOrDefault(one.Key), one.Value)))
        .Where(static one => one.Rate > 0)
        .OrderByDescending(static one => one.Rate);

    public IEnumerable<TopTable> Tables()
    {
        yield return Backends();
        yield return Limits();
        if (now.Rejected.Count > 0)
        {
            yield return Rejected();
        }

        if (now.Lowest.Count > 0)
        {
            yield return Lowest();
        }
    }

    /// <summary>The duration below which this share of the requests since the earlier reading stayed, interpolated
    /// within its bucket.</summary>
    public string Quantile(double share) => QuantileMs(share, out bool isLow) is not { } ms ? "-"
        : (isLow ? "over " : "") + UpstreamsCommand.LatencyText(ms);

    /// <inheritdoc cref="Quantile"/>
    /// <param name="isLow">The duration is longer than the last bound, which is returned.</param>
    private double? QuantileMs(double share, out bool isLow)
    {
        isLow = false;
        IReadOnlyList<DurationCount> counts = now.Status.Requests.Durations;
        double[] ended = [.. counts.Select(one => (double)Difference(CountBefore(one.UpToSeconds), one.Count))];
        double wanted = ended.Sum() * share;
        if (wanted <= 0)
        {
            return null;
        }

        int i = 0;
        for (; i < ended.Length - 1 && ended[i] < wanted; i++)
        {
            wanted -= ended[i];
        }

        double low = i == 0 ? 0 : counts[i - 1].UpToSeconds!.Value;
        isLow = counts[i].UpToSeconds is null;
        return (counts[i].UpToSeconds is { } high ? low + ((high - low) * wanted / ended[i]) : low) * 1000;
    }

    private IEnumerable<(UpstreamStatus upstream, BackendStatus backend, BackendStatus? old)> BusiestBackends() =>
        now.Upstreams.SelectMany(static upstream => upstream.Backends.Select(backend => (upstream, backend)))
            .Select(one => (one.upstream, one.backend, old: OldOf(one.upstream, one.backend)))
            .OrderBy(static one => one.backend.MayGetRequests())
            .ThenByDescending(one => PerSecond(one.old?.Requests ?? 0, one.backend.Requests))
            .Take(limit);

    private IEnumerable<(LimitReport one, LimitReport? old)> BusiestLimits() => now.Status.Limits
        .Select(one => (one, old: before.Status.Limits.FirstOrDefault(old => old.Name == one.Name)))
        .OrderByDescending(pair => PerSecond(pair.old?.Rejected ?? 0, pair.one.Rejected))
        .Take(limit);

    private IEnumerable<(LimitedClient one, LimitedClient? old)> RejectedClients() => now.Rejected
        .Select(one => (one, old: OldOf(one)))
        .OrderByDescending(pair => pair.old is null ? 0 : PerSecond(pair.old.Rejected, pair.one.Rejected))
        .ThenByDescending(static pair => pair.one.Rejected);

    private TopTable Backends() => new(
        [
            new("UPSTREAM"), new("BACKEND"), new("STATUS"), new("REQ/S", true), new("FAIL/S", true),
            new("LATENCY", true), new("IN FLIGHT", true), new("WEIGHT", true), new("CAUSE", Optional: true),
        ],
        [.. BusiestBackends()
            .Select(one => (string[])
            [
                one.upstream.Name, one.backend.Address, UpstreamsCommand.StatusOf(one.backend),
                Rate(one.old?.Requests ?? 0, one.backend.Requests), Rate(one.old?.Failures ?? 0, one.backend.Failures),
                UpstreamsCommand.LatencyText(one.backend.LatencyMs), $"{one.backend.InFlight}", $"{one.backend.Weight}",
                UpstreamsCommand.CauseOf(one.backend),
            ])]);

    private TopTable Limits() => new(
        [new("LIMIT"), new("ADMITTED/S", true), new("REJECTED/S", true), new("DRY RUN/S", true)],
        [.. BusiestLimits()
            .Select(pair => (string[])
            [
                pair.one.Name, Rate(pair.old?.Admitted ?? 0, pair.one.Admitted),
                Rate(pair.old?.Rejected ?? 0, pair.one.Rejected),
                Rate(pair.old?.DryRunRejected ?? 0, pair.one.DryRunRejected),
            ])]);

    private TopTable Rejected() => new(
        [new("MOST REJECTED"), new("LIMIT"), new("REJECTED/S", true), new("REJECTED", true), new("LAST")],
        [.. RejectedClients()
            .Select(pair => (string[])
            [
                pair.one.Client, pair.one.Limit, pair.old is null ? "-" : Rate(pair.old.Rejected, pair.one.Rejected),
                $"{pair.one.Rejected}", RejectionsCommand.TimeText(pair.one.Last),
            ])]);

    private TopTable Lowest() => new(
        [
            new("EMPTIEST BUCKETS"), new("TOKENS", true), new("CAPACITY", true), new("RATE", true),
            new("USED/S", true), new("PLAN", Optional: true),
        ],
        [.. now.Lowest.Select(one => (string[])
        [
            one.ClientId, string.Create(CultureInfo.InvariantCulture, $"{one.CurrentTokens:0.##}"), $"{one.Capacity}",
            Banner.RateText(one.RatePerSec ?? 0), UsedPerSecond(one) is { } used ? Text(used) : "-", one.Plan ?? "",
        ])]);

    /// <summary>Tokens that the client took per second: those that were refilled, and those by which the bucket fell.
    /// </summary>
    private double? UsedPerSecond(ClientView client) =>
        before.Lowest.FirstOrDefault(old => old.ClientId == client.ClientId) is { } old
            ? Math.Max(0, (client.RatePerSec ?? 0) + (((old.CurrentTokens - client.CurrentTokens) ?? 0) / _seconds))
            : null;

    private BackendStatus? OldOf(UpstreamStatus upstream, BackendStatus backend) =>
        before.Upstreams.FirstOrDefault(old => old.Name == upstream.Name)?.Backends
            .FirstOrDefault(old => old.Address == backend.Address);

    private LimitedClient? OldOf(LimitedClient client) =>
        before.Rejected.FirstOrDefault(old => old.Client == client.Client && old.Limit == client.Limit);

    private long CountBefore(double? upToSeconds) =>
        before.Status.Requests.Durations.FirstOrDefault(old => old.UpToSeconds == upToSeconds)?.Count ?? 0;

    private string Rate(long old, long count) => Text(PerSecond(old, count));

    private double PerSecond(long old, long count) => Difference(old, count) / _seconds;

    private long Difference(long old, long count) => Restarted ? count : Math.Max(0, count - old);

    private static string Text(double perSecond) => perSecond.ToString("0.#", CultureInfo.InvariantCulture);
}
