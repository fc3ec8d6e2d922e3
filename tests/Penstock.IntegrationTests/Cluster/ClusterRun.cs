using System.Globalization;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>How long the cluster's tests hammer: 2 s, or what <c>PENSTOCK_CLUSTER_SECONDS</c> says. With 30 they are as
/// long as the requirement (30 s, with 20 s of outage).</summary>
internal static class ClusterRun
{
    public static double Seconds { get; } = double.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_CLUSTER_SECONDS") ?? "2", CultureInfo.InvariantCulture);

    /// <summary>How long a long outage of the database lasts.</summary>
    public static double OutageSeconds => Seconds * 2 / 3;
}
