using System.ComponentModel;
using Penstock.Control.Telemetry;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

[Description("This Penstock on one page.")]
internal sealed record StatusReport
{
    public required string Version { get; init; }

    [Description("The .NET that it runs on.")]
    public required string Runtime { get; init; }

    [Description("`jit` or `native`.")]
    public required string Flavour { get; init; }

    [Description("The number of its process.")]
    public required int ProcessId { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required double UptimeSeconds { get; init; }

    [Description("The addresses that clients connect to.")]
    public required IReadOnlyList<string> Listeners { get; init; }

    [Description("Client connections that are open.")]
    public required long Connections { get; init; }

    [Description("Requests that have ended since the start.")]
    public required RequestReport Requests { get; init; }

    [Description("Registered clients.")]
    public required int Clients { get; init; }

    [Description("The limits of the configuration, and `client`, which stands for those of registered clients.")]
    public required IReadOnlyList<LimitReport> Limits { get; init; }

    [Description("Where clients are stored.")]
    public required StoreReport Store { get; init; }

    public required ConfigurationReport Configuration { get; init; }

    [Description("What an operator should look at, each as a sentence. Single backends are not mentioned: see "
        + "`GET /upstreams`.")]
    public required IReadOnlyList<string> Warnings { get; init; }

    public static StatusReport Of(AdminSubjects subjects, DateTimeOffset now)
    {
        ProxyMetrics metrics = subjects.Proxy.ReadMetrics();
        return new()
        {
            Version = ProductVersion.Short,
            Runtime = ProductVersion.Runtime,
            Flavour = ProductVersion.Flavour,
            ProcessId = Environment.ProcessId,
            StartedAt = MetricList.StartedAt,
            UptimeSeconds = Math.Round((now - MetricList.StartedAt).TotalSeconds, 3),
            Listeners = subjects.Proxy.Urls,
            Connections = metrics.Listeners.Sum(static listener => listener.Open),
            Requests = RequestReport.Of(metrics),
            Clients = subjects.Proxy.Limiter.Clients.Count,
            Limits = [.. metrics.Limits.Select(counts => LimitReport.Of(counts,
                subjects.Proxy.Limiter.Configured.GetValueOrDefault(counts.Limit)))],
            Store = StoreReport.Of(subjects),
            Configuration = ConfigurationReport.Of(subjects.Reloader),
            Warnings = [.. WarningsOf(subjects, subjects.Proxy.ReadTraffic().Upstreams, now)],
        };
    }

    public static IEnumerable<string> WarningsOf(
        AdminSubjects subjects, IReadOnlyList<UpstreamReading> upstreams, DateTimeOffset now)
    {
        foreach (string expiry in ExpiryWatch.Warnings(subjects.Proxy, now))
        {
            yield return expiry;
        }

        if (subjects.Proxy.Stopping)
        {
            yield return "Penstock is stopping";
        }

        if (subjects.Directory.StoreFault is { } store)
        {
            yield return $"the store fails, so edits are rejected: {store}";
        }

        if (subjects.Member?.State.Warning is { } cluster)
        {
            yield return cluster;
        }

        foreach (string certificate in subjects.Certificates.Statuses.Select(static one => one.Warning)
            .OfType<string>())
        {
            yield return certificate;
        }

        if (subjects.Reloader.LastError is { } reload)
        {
            yield return $"the last reload failed: {reload}";
        }

        if (subjects.Reloader.Last?.Result.RestartNeeded is { Count: > 0 } later)
        {
            yield return $"changed in the file, and in force only after a restart: {string.Join(", ", later)}";
        }

        foreach (UpstreamReading upstream in upstreams
            .Where(static u => u.Backends.Count > 0 && !u.Backends.Any(static b => b.Status.MayGetRequests())))
        {
            yield return $"upstream {upstream.Name}: none of its backends may get requests";
        }

        if (subjects.Proxy.Limiter.Displaced is > 0 and var displaced)
        {
            yield return $"{Counted.Of(displaced, "used bucket", "was", "were")} given to other clients: raise "
                + "clients.max_tracked";
        }

        if (subjects.Proxy.AccessLogLinesDropped is > 0 and var dropped)
        {
            yield return $"{Counted.Of(dropped, "line")} of the access log could not be written";
        }
    }
}

internal sealed record RequestReport(
    long Total,
    [property: Description("By the status of the response; `0`: the client got none.")]
    IReadOnlyDictionary<string, long> ByStatus,
    [property: Description("By the `reason` of the access log.")] IReadOnlyDictionary<string, long> ByReason,
    [property: Description("How many took how long, from a request's first byte to its response's last.")]
    IReadOnlyList<DurationCount> Durations)
{
    public static RequestReport Of(ProxyMetrics metrics) => new(
        metrics.Requests.Sum(static request => request.Count),
        CountsBy(metrics.Requests, static request => request.Status.ToString()),
        CountsBy(metrics.Requests, static request => request.Reason),
        [.. metrics.Listeners.SelectMany(static listener => listener.Requests.Counts.Select((count, i) =>
                new DurationCount(i < listener.Requests.Bounds.Count ? listener.Requests.Bounds[i] : null, count)))
            .GroupBy(static one => one.UpToSeconds)
            .Select(static same => new DurationCount(same.Key, same.Sum(static one => one.Count)))]);

    private static SortedDictionary<string, long> CountsBy(
        IEnumerable<RequestCount> requests, Func<RequestCount, string> key) => new(
            requests.GroupBy(key).ToDictionary(static same => same.Key, static same => same.Sum(static r => r.Count)),
            StringComparer.Ordinal);
}

internal sealed record DurationCount(
    [property: Description("The upper bound; null: no bound. The bound before it is the lower one.")]
    double? UpToSeconds,
    long Count);

internal sealed record LimitReport
{
    public required string Name { get; init; }

    [Description("Tokens in a full bucket; null: it has no bucket, or clients have their own numbers.")]
    public required long? Capacity { get; init; }

    [Description("Tokens that are refilled per second.")]
    public required double? RatePerSec { get; init; }

    [Description("How many requests may be in flight at the same time; null: no bound.")]
    public required int? Concurrent { get; init; }

    [Description("Who shares a bucket.")]
    public required LimitKey By { get; init; }

    [Description("Rejections are only counted.")]
    public required bool DryRun { get; init; }

    [Description("Requests since the start that this and all other limits admitted.")]
    public required long Admitted { get; init; }

    [Description("Requests since the start that it rejected.")]
    public required long Rejected { get; init; }

    [Description("Requests since the start that it would have rejected without dry run.")]
    public required long DryRunRejected { get; init; }

    /// <param name="limit">Null: registered clients' own, or no longer configured.</param>
    public static LimitReport Of(LimitMetrics counts, LimitConfig? limit) => new()
    {
        Name = counts.Limit,
        Capacity = limit is { Capacity: > 0 } ? limit.Capacity : null,
        RatePerSec = limit is { Capacity: > 0 } ? limit.RatePerSecond : null,
        Concurrent = limit is { Concurrent: > 0 } ? limit.Concurrent : null,
        By = limit?.By ?? LimitKey.Client,
        DryRun = limit?.DryRun ?? false,
        Admitted = counts.Admitted,
        Rejected = counts.Rejected,
        DryRunRejected = counts.DryRunRejected,
    };
}

internal sealed record StoreReport(
    [property: Description("Without a password.")] string Name,
    [property: Description("Why it fails; null while it works.")] string? Fault,
    [property: Description("How many nodes that share it are alive; null: it is not shared.")] int? Nodes)
{
    public static StoreReport Of(AdminSubjects subjects) =>
        new(subjects.Directory.StoreName, subjects.Directory.StoreFault, subjects.Member?.State.Alive);
}

internal sealed record ConfigurationReport(
    [property: Description("When the configuration in force was read.")] DateTimeOffset ReadAt,
    [property: Description("Why the last reload failed; null: it did not fail.")] string? ReloadError)
{
    public static ConfigurationReport Of(Reloader reloader) => new(reloader.LastRead, reloader.LastError);
}

[Description("The registered clients that use the largest share of their tokens.")]
internal sealed record LowestBuckets(IReadOnlyList<ClientView> Items)
{
    public static LowestBuckets Of(Limiter limiter, int count) =>
        new([.. limiter.Clients.Lowest(count).Select(ClientView.Of)]);
}
