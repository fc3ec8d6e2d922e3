namespace Penstock.Proxy.RateLimiting;

/// <summary>What a node asks of a client's shared bucket. One statement contains the asks of all its active
/// clients.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Epoch">The client's epoch that this node knows, see <see cref="ClientState"/>.</param>
/// <param name="Need">Tokens that requests wait for.</param>
/// <param name="Want">Tokens that save asking again soon, granted if the bucket has many; at least the need.</param>
/// <param name="Back">Unused tokens that the node gives back; negative: tokens that it granted by itself during an
/// outage, to be taken from the bucket now.</param>
public readonly record struct LeaseAsk(string ClientId, long Epoch, long Need, long Want, double Back);

/// <summary>The shared bucket's answer to an ask.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Epoch">The client's epoch in the store. If this node knows another one, the tokens are void.</param>
/// <param name="Granted">Tokens that this node has now; they are deducted from the shared bucket.</param>
/// <param name="Left">Tokens left in the shared bucket.</param>
/// <param name="Capacity">The capacity of the shared bucket when it answered. This node may know an older or a newer
/// one.</param>
/// <param name="LeasedByAll">Tokens of this client that all nodes have ever leased. From its growth a node computes its
/// share.</param>
public readonly record struct LeaseGrant(
    string ClientId, long Epoch, long Granted, double Left, long Capacity, long LeasedByAll);
