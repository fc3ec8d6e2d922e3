namespace Penstock.Control.Cluster;

/// <summary>A node as the database sees it; times are of the database's clock.</summary>
internal sealed record ClusterNode(
    string NodeId, string Version, DateTimeOffset StartedAt, DateTimeOffset LastSeen, bool Alive);

/// <summary>The last known state of all nodes and of this node's link to the database. Immutable.</summary>
/// <param name="NodeId">This node.</param>
/// <param name="Fault">Why the database is unreachable; null while it is reachable.</param>
/// <param name="ChangedAt">When the link last changed between reachable and unreachable, by this machine's clock.
/// </param>
/// <param name="Nodes">The nodes that the database saw within ten minutes, the oldest first.</param>
/// <param name="LeaseStatements">Statements that asked for tokens, since the start.</param>
/// <param name="LeasedTokens">Tokens that these statements granted.</param>
internal sealed record ClusterState(
    string NodeId, string? Fault, DateTimeOffset ChangedAt, IReadOnlyList<ClusterNode> Nodes, long LeaseStatements = 0,
    long LeasedTokens = 0)
{
    /// <summary>The fault and what follows from it; null while the database is reachable.</summary>
    public string? Warning => Fault is null ? null : $"{Fault}; this node grants its share of each limit";

    /// <summary>How many nodes are alive; at least 1, this node, even if the database does not see it.</summary>
    public int Alive => Math.Max(1, Nodes.Count(node => node.Alive));
}
