using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A registered client, and the tokens in its bucket, with their fraction, at one moment: as this process has
/// it, or as the store has it, with what came back while nobody looked.</summary>
/// <param name="Limit">With a plan, the plan's numbers.</param>
/// <param name="Tokens">Where nodes share the store, those that no node has leased: less than nothing while debts are
/// paid back.</param>
/// <param name="Terms">What else is set for it; null: nothing.</param>
/// <param name="Version">Where nodes share the store: grows with every edit of any client.</param>
/// <param name="Epoch">Where nodes share the store: the version at which somebody last set the tokens. Leases of an
/// earlier epoch are void.</param>
/// <param name="PlanVersion">Where nodes share the store: of the plan whose numbers the limit has.</param>
public readonly record struct ClientState(
    string ClientId, LimitConfig Limit, double Tokens, ClientTerms? Terms = null, long Version = 0, long Epoch = 0,
    long PlanVersion = 0);
