using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <content>The figures for monitoring.</content>
public sealed partial class ProxyServer
{
    /// <summary>The name of the activity source that has a span for each exchange and each attempt.</summary>
    public const string TraceSource = Tracing.SourceName;

    /// <summary>Lines of the access log that could not be written since start.</summary>
    public long AccessLogLinesDropped => _accessLogDrops.Lines;

    /// <summary>Reads what the loops have counted. Stops no loop and takes no lock.</summary>
    public ProxyMetrics ReadMetrics()
    {
        List<ListenerCounters> counters = [.. Counters];
        return new()
        {
            Requests = [.. counters.SelectMany(static c => c.Requests)
                .GroupBy(static r => r with { Count = 0 })
                .Select(static same => same.Key with { Count = same.Sum(static r => r.Count) })],
            Listeners = [.. counters.GroupBy(static c => c.Listener)
                .Select(static same => MetricsOf(same.Key, [.. same]))],
            Upstreams = [.. _topology.Upstreams
                .Select(static u => new UpstreamMetrics(u.Name, DurationHistogram.Sum(u.ResponseTimes)))],
            Limits = [.. Limiter.Limits.Counts.Select(static c => new LimitMetrics(c.Limit, c[LimitDecision.Admitted],
                c[LimitDecision.Rejected], c[LimitDecision.DryRunRejected]))],
            Tunnels = counters.Sum(static c => c.Tunnels),
            AccessLogLinesDropped = AccessLogLinesDropped,
            AccessLogBytesDropped = _accessLogDrops.Bytes,
        };
    }

    /// <summary>Reads where traffic flows: what has been counted since the start, and the state of every backend now.
    /// Stops no loop.</summary>
    public TrafficReading ReadTraffic()
    {
        List<ListenerCounters> counters = [.. Counters];
        Dictionary<int, string> routes = _routeNumbers.Names();
        return new()
        {
            TimestampNs = _clock.NowNs,
            Listeners = [.. counters.GroupBy(static c => c.Listener).Select(static same => new ListenerReading(
                same.Key, same.Sum(static c => c.Open), Sum(same.Select(static c => c.Latencies))))],
            Statuses = counters.SelectMany(static c => c.Requests).GroupBy(static r => r.Status)
                .ToDictionary(static same => same.Key, static same => same.Sum(static r => r.Count)),
            Flows = [.. counters.SelectMany(static c => c.Routes.Select(one => (c.Listener, one.Route, one)))
                .GroupBy(static c => (c.Listener, c.Route))
                .Select(same => new FlowReading(same.Key.Listener, routes.GetValueOrDefault(same.Key.Route),
                    same.Sum(static c => c.one.Count),
                    same.Sum(static c => c.one.End == RequestEnd.Failed ? c.one.Count : 0),
                    same.Sum(static c => c.one.End == RequestEnd.Rejected ? c.one.Count : 0)))],
            Upstreams = [.. _topology.Upstreams.Select(u => new UpstreamReading(
                u.Name, u.Config.Balance, u.Queue.Count, [.. u.Backends.Select(b => ReadingOf(u, b))]))],
        };
    }

    private BackendReading ReadingOf(Upstream upstream, Backend backend)
    {
        TrafficCounts counts = backend.Traffic.Read();
        return new(BackendStatus.Of(upstream, backend, _clock), counts.Successes, counts.Errors, counts.Latencies);
    }

    private static LatencyHistogram Sum(IEnumerable<LatencyCounts> loops)
    {
        var sum = new LatencyHistogram();
        foreach (LatencyCounts loop in loops)
        {
            loop.AddTo(sum);
        }
        return sum;
    }

    private static ListenerMetrics MetricsOf(string listener, List<ListenerCounters> loops) => new(
        listener, loops.Sum(static c => c.Accepted), loops.Sum(static c => c.Open),
        loops.Sum(static c => c.TurnedAway), loops.Sum(static c => c.BytesIn), loops.Sum(static c => c.BytesOut),
        DurationHistogram.Sum([.. loops.Select(static c => c.Durations)]),
        DurationHistogram.Sum([.. loops.Select(static c => c.Overheads)]),
        [.. loops.SelectMany(static c => c.Handshakes).GroupBy(static h => h.End).Select(static same =>
            (HandshakeEnds.Word(same.Key), same.Sum(static h => h.Count)))]);
}
