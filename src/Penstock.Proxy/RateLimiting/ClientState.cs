using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A registered client and the tokens in its bucket, with fraction, at one moment: as this process has it, or
/// as the store has it, refilled until now.</summary>
/// <param name="ClientId">The client's id.</param>
/// <param name="Limit">The client's capacity and rate; with a plan, the plan's.</param>
/// <param name="Tokens">Tokens in the bucket. When nodes share the store: the tokens that no node has leased; negative
/// while debts of an outage are repaid.</param>
/// <param name="Terms">Further terms; null: none.</param>
/// <param name="Version">When nodes share the store: a number that grows with every edit of any client; else 0.</param>
/// <param name="Epoch">When nodes share the store: the version at which the tokens were last set. Leases of an earlier
/// epoch are void.</param>
/// <param name="PlanVersion">When nodes share the store: the version of the plan whose numbers the limit has.</param>
public readonly record struct ClientState(
    string ClientId, LimitConfig Limit, double Tokens, ClientTerms? Terms = null, long Version = 0, long Epoch = 0,
    long PlanVersion = 0);
