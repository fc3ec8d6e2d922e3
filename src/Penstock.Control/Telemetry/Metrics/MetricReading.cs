using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Telemetry.Metrics;

/// <summary>What is read once for all metrics of one answer.</summary>
internal sealed class MetricReading(
    ProxyServer proxy, ClientDirectory directory, ClusterMember? member, Reloader reloader)
{
    public ProxyServer Proxy { get; } = proxy;
    public ProxyMetrics Loops { get; } = proxy.ReadMetrics();
    public IReadOnlyList<UpstreamStatus> Upstreams { get; } = proxy.Upstreams();
    public ClientDirectory Directory { get; } = directory;

    /// <summary>Null when the store is not shared.</summary>
    public ClusterMember? Member { get; } = member;

    public Reloader Reloader { get; } = reloader;

    public IEnumerable<(UpstreamStatus Upstream, BackendStatus Backend)> Backends =>
        Upstreams.SelectMany(static upstream => upstream.Backends.Select(backend => (upstream, backend)));
}
