using Penstock.Control.Cluster;
using Penstock.Proxy;

namespace Penstock.Control.Telemetry.Metrics;

/// <content>The store, the nodes that share it, the configuration and the process.</content>
internal static partial class MetricList
{
    private static IEnumerable<Metric> Store() =>
    [
        new("penstock_store_up", MetricKind.Gauge, "0 from a failed use of the store until a write succeeds.",
            None, static now => One(now.Directory.StoreFault is null ? 1 : 0)),
        new("penstock_store_duration_seconds", MetricKind.Histogram,
            "Time of each use of the store: edits, reads by the API, saved tokens, probes.",
            None, static now => [new([], 0, now.Directory.StoreTimes)]),
        new("penstock_cluster_connected", MetricKind.Gauge,
            "1 while the database is reachable; 0: this node grants its share. Like all further `cluster` and `lease` "
                + "metrics, absent if the store is not shared.",
            None, static now => OfCluster(now, static m => m.State.Fault is null ? 1 : 0)),
        new("penstock_cluster_nodes", MetricKind.Gauge, "Nodes that share the store and are alive.",
            None, static now => OfCluster(now, static m => m.State.Alive)),
        new("penstock_lease_statements_total", MetricKind.Counter, "Statements that asked for tokens.",
            None, static now => OfCluster(now, static m => m.State.LeaseStatements)),
        new("penstock_leased_tokens_total", MetricKind.Counter, "Tokens that these statements granted.",
            None, static now => OfCluster(now, static m => m.State.LeasedTokens)),
        new("penstock_lease_waits_total", MetricKind.Counter, "Requests that waited for such a statement.",
            None, static now => OfCluster(now, static m => m.Leases.Waited)),
        new("penstock_lease_wait_timeouts_total", MetricKind.Counter,
            "Requests that got no token within `timeouts.tokens`.",
            None, static now => OfCluster(now, static m => m.Leases.WaitedInVain)),
        new("penstock_lease_waiting", MetricKind.Gauge, "Requests that wait for tokens now.",
            None, static now => OfCluster(now, static m => m.Leases.Waiting)),
    ];

    private static IEnumerable<Metric> Program() =>
    [
        new("penstock_config_last_reload_successful", MetricKind.Gauge,
            "0 if the last reload changed nothing, or could not store the plans.",
            None, static now => One(now.Reloader.LastError is null ? 1 : 0)),
        new("penstock_config_last_reload_success_timestamp_seconds", MetricKind.Gauge,
            "When the configuration in force was read.",
            None, static now => One(now.Reloader.LastRead.ToUnixTimeMilliseconds() / 1000.0)),
        new("penstock_build_info", MetricKind.Gauge, "Always 1.",
            ["version", "runtime", "flavour"], static _ => [new(
                [ProductVersion.Short, ProductVersion.Runtime, ProductVersion.Flavour], 1)]),
        new("process_cpu_seconds_total", MetricKind.Counter, "Processor time of the process.",
            None, static _ => One(Environment.CpuUsage.TotalTime.TotalSeconds)),
        new("process_resident_memory_bytes", MetricKind.Gauge, "Memory of the process in RAM.",
            None, static _ => One(Environment.WorkingSet)),
        new("process_start_time_seconds", MetricKind.Gauge, "When the process started.",
            None, static _ => One(StartedAt.ToUnixTimeMilliseconds() / 1000.0)),
        new("process_open_fds", MetricKind.Gauge, "Open file descriptors.",
            None, static _ => Descriptors.CountOpen() is { } count ? One(count) : []),
        new("process_max_fds", MetricKind.Gauge, "Maximum number of open file descriptors.",
            None, static _ => One(Descriptors.Limit)),
        new("dotnet_gc_collections_total", MetricKind.Counter, "Garbage collections by generation.",
            ["generation"], static _ => Enumerable.Range(0, GC.MaxGeneration + 1).Select(static generation =>
                new Sample([generation.ToString()], GC.CollectionCount(generation)))),
        new("dotnet_gc_heap_bytes", MetricKind.Gauge, "Size of the garbage-collected heap after the last collection.",
            None, static _ => One(GC.GetGCMemoryInfo().HeapSizeBytes)),
        new("dotnet_gc_allocated_bytes_total", MetricKind.Counter, "Bytes allocated on the heap.",
            None, static _ => One(GC.GetTotalAllocatedBytes())),
        new("dotnet_gc_pause_seconds_total", MetricKind.Counter, "Time in which collections stopped the process.",
            None, static _ => One(GC.GetTotalPauseDuration().TotalSeconds)),
        new("dotnet_threadpool_threads", MetricKind.Gauge, "Threads of the thread pool. Event loops have their own.",
            None, static _ => One(ThreadPool.ThreadCount)),
    ];

    /// <summary>When the process started.</summary>
    public static DateTimeOffset StartedAt { get; } =
        new(System.Diagnostics.Process.GetCurrentProcess().StartTime.ToUniversalTime());

    private static Sample[] OfCluster(MetricReading now, Func<ClusterMember, double> value) =>
        now.Member is { } member ? One(value(member)) : [];
}
