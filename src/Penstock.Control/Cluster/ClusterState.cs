namespace Penstock.Control.Cluster;

/// <summary>A node as the database knows it; times are the database's.</summary>
internal sealed record ClusterNode(
    string NodeId, string Version, DateTimeOffset StartedAt, DateTimeOffset LastSeen, bool Alive);

/// <summary>What this node last knew of the others and of its link to the database. Immutable.</summary>
/// <param name="NodeId">This node.</param>
/// <param name="Fault">Why the database is out of reach; null while it is not.</param>
/// <param name="ChangedAt">When the link last came or went, by this machine's clock.</param>
/// <param name="Nodes">Those that the database saw within ten minutes, the eldest first.</param>
/// <param name="LeaseStatements">Statements that asked for tokens, since the start.</param>
/// <param name="LeasedTokens">Tokens that came.</param>
internal sealed record ClusterState(
    string NodeId, string? Fault, DateTimeOffset ChangedAt, IReadOnlyList<ClusterNode> Nodes, long LeaseStatements = 0,
    long LeasedTokens = 0)
{
    /// <summary>Nodes that are there, this one included even if nobody sees it.</summary>
    public int Alive => Math.Max(1, Nodes.Count(node => node.Alive));
}
