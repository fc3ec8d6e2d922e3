namespace Penstock.Proxy.RateLimiting;

/// <summary>What a node asks of a client's shared bucket. One statement carries those of all its active clients.
/// </summary>
/// <param name="Need">Tokens that requests wait for.</param>
/// <param name="Want">Tokens that save asking again soon, if the bucket is rich; not below the need.</param>
/// <param name="Back">Tokens that come back unused; negative: tokens that were given out while the bucket could not be
/// asked, and are to be taken from it now.</param>
public readonly record struct LeaseAsk(string ClientId, long Epoch, long Need, long Want, double Back);

/// <summary>The answer.</summary>
/// <param name="Granted">Tokens now this node's; they are gone from the shared bucket.</param>
/// <param name="Left">Tokens left in the shared bucket.</param>
/// <param name="LeasedByAll">Tokens that all nodes ever leased of this client: how they grow tells a node its share.
/// </param>
public readonly record struct LeaseGrant(string ClientId, long Epoch, long Granted, double Left, long LeasedByAll);
