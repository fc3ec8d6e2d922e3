namespace Penstock.Control.Cluster;

/// <summary>How this node stands with the database that holds the shared buckets.</summary>
internal enum LinkState
{
    /// <summary>It leases tokens as its clients need them.</summary>
    Connected,

    /// <summary>A statement has no answer for long: clients get this node's share, and the answer is still awaited.
    /// </summary>
    Silent,

    /// <summary>The connection is gone: clients get this node's share, and the node tries to connect again.</summary>
    Alone,

    /// <summary>The database is back: this node pays what it gave out, and goes on with its share until the other nodes
    /// have paid, too.</summary>
    Settling,
}

internal enum LinkEvent
{
    /// <summary>A statement was answered.</summary>
    Answered,

    /// <summary>A statement has no answer for <see cref="LeaseLink.PatienceMs"/>.</summary>
    Unanswered,

    /// <summary>The connection broke, or a statement failed.</summary>
    Broken,

    /// <summary>A new connection is open, and the database has seen this node.</summary>
    Reconnected,

    /// <summary>The other nodes have paid, or were waited for long enough: <see cref="Settlement"/>.</summary>
    Settled,
}

/// <summary>The transitions of <see cref="LinkState"/>: the table of docs/store.md.</summary>
internal static class LinkTransitions
{
    public static LinkState After(this LinkState state, LinkEvent what) => (state, what) switch
    {
        (LinkState.Connected or LinkState.Settling, LinkEvent.Unanswered) => LinkState.Silent,
        (_, LinkEvent.Broken) => LinkState.Alone,
        (LinkState.Silent, LinkEvent.Answered) => LinkState.Settling,
        (LinkState.Alone, LinkEvent.Reconnected) => LinkState.Settling,
        (LinkState.Settling, LinkEvent.Settled) => LinkState.Connected,
        _ => state,
    };

    /// <summary>The database cannot be asked now.</summary>
    public static bool IsAway(this LinkState state) => state is LinkState.Silent or LinkState.Alone;
}
