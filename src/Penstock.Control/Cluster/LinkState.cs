namespace Penstock.Control.Cluster;

/// <summary>The state of this node's link to the database that holds the shared buckets.</summary>
internal enum LinkState
{
    /// <summary>The node leases tokens as its clients need them.</summary>
    Connected,

    /// <summary>A statement has had no answer for a long time: clients get this node's share, and the node still waits
    /// for the answer.</summary>
    Silent,

    /// <summary>The connection is lost: clients get this node's share, and the node tries to reconnect.</summary>
    Alone,

    /// <summary>The database is reachable again: this node repays the tokens that it granted by itself. It keeps to its
    /// share until the other nodes have repaid theirs.</summary>
    Settling,
}

internal enum LinkEvent
{
    /// <summary>A statement was answered.</summary>
    Answered,

    /// <summary>A statement has had no answer for <see cref="LeaseLink.PatienceMs"/>.</summary>
    Unanswered,

    /// <summary>The connection broke, or a statement failed.</summary>
    Broken,

    /// <summary>A new connection is open, and the database has seen this node.</summary>
    Reconnected,

    /// <summary>The other nodes have repaid, or the time for that is over: <see cref="Settlement"/>.</summary>
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

    /// <summary>True while the node cannot use the database.</summary>
    public static bool IsAway(this LinkState state) => state is LinkState.Silent or LinkState.Alone;
}
