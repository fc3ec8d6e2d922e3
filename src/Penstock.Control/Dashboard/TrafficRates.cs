using System.ComponentModel;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Dashboard;

[Description("Requests that ended in a period, per second, and how long they took.")]
internal sealed record Rates(
    double RequestsPerSec,
    [property: Description("With a response of 5xx, or with none because of a backend.")] double FailedPerSec,
    [property: Description("Rejected by a limit.")] double RejectedPerSec,
    [property: Description("The median in milliseconds, exact to an eighth; null: no request.")] double? P50Ms,
    [property: Description("99 of 100 took at most so long.")] double? P99Ms);

internal sealed record ListenerRates(
    [property: Description("The address as configured.")] string Name,
    [property: Description("Client connections that are open.")] long Connections,
    [property: Description("Times are from a request's first byte to its response's last, without rejected requests.")]
    Rates Rates);

[Description("The requests of one listener that took one route.")]
internal sealed record FlowRates(
    string Listener,
    [property: Description("Null: no route matched, or none was asked for.")] string? Route,
    double RequestsPerSec, double FailedPerSec, double RejectedPerSec);

internal sealed record UpstreamRates(
    string Name, BalanceAlgorithm Balance,
    [property: Description("Requests that wait for a slot at a backend.")] int Queued,
    [property: Description("Those of its backends together.")] Rates Rates, IReadOnlyList<BackendRates> Backends);

internal sealed record BackendRates(
    BackendStatus Status,
    [property: Description("Until the head of the response; requests that a limit rejects do not come here.")]
    Rates Rates);

/// <summary>How much traffic flowed between two readings.</summary>
internal sealed record TrafficRates(
    [property: Description("Of all listeners.")] Rates All,
    [property: Description("Requests per second by class of status: `1xx` to `5xx`, and `none`: the client got no "
        + "response.")]
    IReadOnlyDictionary<string, double> ByStatus,
    IReadOnlyList<ListenerRates> Listeners, IReadOnlyList<FlowRates> Flows, IReadOnlyList<UpstreamRates> Upstreams)
{
    /// <summary>The classes of statuses, in order.</summary>
    public static IReadOnlyList<string> Classes { get; } = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

    /// <summary>What a backend, a flow or a listener that is new in <paramref name="now"/> has counted, counts from its
    /// beginning.</summary>
    public static TrafficRates Between(TrafficReading before, TrafficReading now)
    {
        double seconds = Math.Max(1e-3, (now.TimestampNs - before.TimestampNs) / 1e9);
        Dictionary<(string, string?), FlowReading> flowsBefore =
            before.Flows.ToDictionary(static f => (f.Listener, f.Route));
        List<FlowRates> flows = [.. now.Flows.Select(f => Flow(flowsBefore.GetValueOrDefault((f.Listener, f.Route)), f,
            seconds))];
        Dictionary<string, LatencyHistogram> latenciesBefore =
            before.Listeners.ToDictionary(static l => l.Name, static l => l.Latencies);
        var none = new LatencyHistogram();
        var all = new LatencyHistogram();
        List<ListenerRates> listeners = [];
        foreach (ListenerReading listener in now.Listeners)
        {
            LatencyHistogram recent = listener.Latencies.Since(latenciesBefore.GetValueOrDefault(listener.Name, none));
            all.Add(recent);
            listeners.Add(new(listener.Name, listener.Open,
                Sum(flows.Where(f => f.Listener == listener.Name), recent)));
        }
        return new(Sum(flows, all), ByClass(before, now, seconds), listeners, flows, UpstreamsOf(before, now, seconds));
    }

    private static FlowRates Flow(FlowReading? before, FlowReading now, double seconds) => new(now.Listener, now.Route,
        Rate(now.Requests - (before?.Requests ?? 0), seconds), Rate(now.Failed - (before?.Failed ?? 0), seconds),
        Rate(now.Rejected - (before?.Rejected ?? 0), seconds));

    private static Dictionary<string, double> ByClass(TrafficReading before, TrafficReading now, double seconds)
    {
        long[] counts = new long[Classes.Count];
        foreach ((int status, long count) in now.Statuses)
        {
            int one = status is >= 100 and < 600 ? (status / 100) - 1 : Classes.Count - 1;
            counts[one] += count - before.Statuses.GetValueOrDefault(status);
        }
        return Classes.Select((name, i) => (name, Rate(counts[i], seconds)))
            .ToDictionary(static one => one.name, static one => one.Item2);
    }

    private static List<UpstreamRates> UpstreamsOf(TrafficReading before, TrafficReading now, double seconds)
    {
        Dictionary<(string, string), BackendReading> backendsBefore = before.Upstreams
            .SelectMany(static u => u.Backends.Select(b => (Key: (u.Name, b.Status.Address), b)))
            .ToDictionary(static one => one.Key, static one => one.b);
        return [.. now.Upstreams.Select(upstream =>
        {
            var sum = new LatencyHistogram();
            List<BackendRates> backends = [];
            foreach (BackendReading backend in upstream.Backends)
            {
                (Rates rates, LatencyHistogram recent) =
                    Of(backendsBefore.GetValueOrDefault((upstream.Name, backend.Status.Address)), backend, seconds);
                sum.Add(recent);
                backends.Add(new(backend.Status, rates));
            }
            return new UpstreamRates(upstream.Name, upstream.Balance, upstream.Queued, Timed(sum,
                backends.Sum(static b => b.Rates.RequestsPerSec), backends.Sum(static b => b.Rates.FailedPerSec), 0),
                backends);
        })];
    }

    private static (Rates, LatencyHistogram) Of(BackendReading? before, BackendReading now, double seconds)
    {
        // A backend that was removed and added again begins at 0.
        before = before is not null && before.Status.Requests > now.Status.Requests ? null : before;
        uint succeeded = unchecked(now.Succeeded - (before?.Succeeded ?? 0));
        uint failed = unchecked(now.Failed - (before?.Failed ?? 0));
        LatencyHistogram recent = now.Latencies.Since(before?.Latencies ?? new());
        return (Timed(recent, Rate((long)succeeded + failed, seconds), Rate(failed, seconds), 0), recent);
    }

    private static Rates Sum(IEnumerable<FlowRates> flows, LatencyHistogram latencies)
    {
        (double requests, double failed, double rejected) = (0, 0, 0);
        foreach (FlowRates flow in flows)
        {
            requests += flow.RequestsPerSec;
            failed += flow.FailedPerSec;
            rejected += flow.RejectedPerSec;
        }
        return Timed(latencies, requests, failed, rejected);
    }

    private static Rates Timed(LatencyHistogram latencies, double requests, double failed, double rejected) => new(
        Rounded(requests), Rounded(failed), Rounded(rejected), Ms(latencies, 0.5), Ms(latencies, 0.99));

    private static double Rate(long count, double seconds) => Rounded(Math.Max(0, count) / seconds);

    private static double Rounded(double rate) => Math.Round(rate, 2);

    private static double? Ms(LatencyHistogram latencies, double share) =>
        latencies.Total == 0 ? null : Math.Round(latencies.QuantileNs(share) / 1e6, 3);
}
