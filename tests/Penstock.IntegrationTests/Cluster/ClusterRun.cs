using System.Globalization;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>How long the cluster's tests hammer: 2 s, or what <c>PENSTOCK_CLUSTER_SECONDS</c> says. With 30 they are as
/// long as the requirement (30 s, with 20 s of outage).</summary>
internal static class ClusterRun
{
    public static double Seconds { get; } = double.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_CLUSTER_SECONDS") ?? "2", CultureInfo.InvariantCulture);

    /// <summary>How long the database is away where it is away for long.</summary>
    public static double OutageSeconds => Seconds * 2 / 3;

    /// <summary>The part of a limit that must at least be admitted where nothing is down for longer than a moment:
    /// 97 %. In a short run the tokens of the last tick, or a tenth of a second in which the machine was busy
    /// elsewhere, are more than 3 % of all.</summary>
    public static double AtLeast => Seconds >= 10 ? 0.97 : 0.85;
}
