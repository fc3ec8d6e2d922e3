using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Tests with much load on several nodes: they run one at a time, and no other test runs at the same time.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ClusterCollection
{
    public const string Name = "Cluster";
}
