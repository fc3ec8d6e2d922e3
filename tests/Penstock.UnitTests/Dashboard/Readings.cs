using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.UnitTests.Dashboard;

/// <summary>Readings of the traffic, as a proxy with one listener, one route and one backend would give them.</summary>
internal static class Readings
{
    public static TrafficReading At(double seconds, long requests = 0, long failed = 0, long rejected = 0,
        IReadOnlyList<BackendReading>? backends = null, params (long Ns, uint Count)[] latencies) => new()
    {
        TimestampNs = (long)(seconds * 1e9),
        Listeners = [new(":80", 3, Latencies(latencies))],
        Statuses = new Dictionary<int, long>
        {
            [200] = requests - failed - rejected, [503] = failed, [429] = rejected,
        },
        Flows = [new(":80", "all", requests, failed, rejected)],
        Upstreams = [new("web", BalanceAlgorithm.RoundRobin, 0, backends ?? [])],
    };

    public static BackendReading Backend(
        string address, uint succeeded, uint failed, params (long Ns, uint Count)[] latencies) =>
        new(Status(address, succeeded + failed), succeeded, failed, Latencies(latencies));

    public static LatencyHistogram Latencies(params (long Ns, uint Count)[] latencies)
    {
        var histogram = new LatencyHistogram();
        foreach ((long ns, uint count) in latencies)
        {
            histogram.Add(LatencyHistogram.BucketOf(ns), count);
        }
        return histogram;
    }

    private static BackendStatus Status(string address, long requests) => new()
    {
        Address = address, Name = null, Added = false, Stored = false, Weight = 1, SlowStart = 1, Backup = false,
        MaxConnections = 0, State = BackendState.Ready, Drained = false, Health = BackendHealth.Up, Cause = null,
        ChangedAt = null, HealthChanges = 0, Ejected = null, EjectedUntil = null, EjectionIgnored = false,
        Ejections = 0, LatencyMs = null, InFlight = 0, Requests = requests, Failures = 0, ChecksPassed = 0,
        ChecksFailed = 0,
    };
}
