using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Tests that hammer several nodes: one at a time, and beside no other test.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ClusterCollection
{
    public const string Name = "Cluster";
}
