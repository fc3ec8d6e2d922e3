namespace Penstock.Control.Cluster;

/// <summary>Decides when this node may lease again after an outage. Each node first repays the tokens that it granted
/// by itself; a node that leased earlier would hand out tokens that other nodes have already spent. So it keeps to its
/// fixed share until all nodes from before the outage have reconnected and had <see cref="SettleMs"/> to repay, at
/// most for <see cref="MaxSettleMs"/>. Not thread-safe.</summary>
/// <param name="awaited">The nodes that were alive before the outage, this one included.</param>
internal sealed class Settlement(IReadOnlySet<string> awaited)
{
    public const int SettleMs = 300;
    public const int MaxSettleMs = 10_000;

    private DateTimeOffset _outageEnd;
    private long? _backMs;
    private long? _allBackMs;

    /// <summary>Call when the database is reachable again.</summary>
    /// <param name="outageEnd">When the database saw this node again, by the database's clock.</param>
    /// <param name="nowMs">Milliseconds of a monotonic clock.</param>
    public void Begin(DateTimeOffset outageEnd, long nowMs) =>
        (_outageEnd, _backMs, _allBackMs) = (outageEnd, nowMs, null);

    /// <param name="nodes">The nodes as the database last saw them.</param>
    /// <param name="nowMs">Milliseconds of the same clock.</param>
    public bool IsOver(IReadOnlyList<ClusterNode> nodes, long nowMs)
    {
        if (_backMs is not { } backMs)
        {
            return false;
        }

        if (_allBackMs is null && nodes.Count(HasComeBack) == awaited.Count)
        {
            _allBackMs = nowMs;
        }

        return nowMs - backMs >= MaxSettleMs || nowMs - _allBackMs >= SettleMs;
    }

    private bool HasComeBack(ClusterNode node) => awaited.Contains(node.NodeId) && node.LastSeen > _outageEnd;
}
