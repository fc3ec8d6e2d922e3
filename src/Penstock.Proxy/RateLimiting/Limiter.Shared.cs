using System.Text;

namespace Penstock.Proxy.RateLimiting;

/// <content>Registered clients whose tokens are leased from buckets that nodes share.</content>
public sealed partial class Limiter
{
    private Leases? _leases;

    /// <summary>From now on the tokens of registered clients are leased from buckets that nodes share: registering is
    /// done by <see cref="Leases.Apply"/> instead of <see cref="Register"/>. To be called before the first
    /// client.</summary>
    public Leases ShareTokens() => _leases ??= new Leases(this, _clock);

    /// <summary>Registers a client of shared tokens, or changes it when the state is newer than the known.</summary>
    internal void Apply(in SharedClient state)
    {
        byte[] key = Encoding.UTF8.GetBytes(state.ClientId);
        lock (_editing)
        {
            long now = _clock.NowNs;
            Limit limit = PlanLimit(state.Terms, state.Limit, state.PlanVersion)
                ?? new Limit(RegisteredClient.LimitName, state.Limit);
            if (!_registered.TryGetValue(key, out RegisteredClient? known))
            {
                known = new LeasedClient(_leases!, state, limit, now)
                {
                    Terms = TermsOf(state.ClientId, state.Terms, null, now),
                };
                _registered[key] = known;
                Added(key);
            }
            else if (((LeasedClient)known).Change(state, limit, now))
            {
                known.Terms = TermsOf(state.ClientId, state.Terms, known.Terms, now);
            }
        }
    }

    /// <summary>Forgets a client of shared tokens unless what is known of it is newer.</summary>
    internal void Remove(string clientId, long version)
    {
        byte[] key = Encoding.UTF8.GetBytes(clientId);
        lock (_editing)
        {
            if (_registered.TryGetValue(key, out RegisteredClient? known) && known is LeasedClient leased
                && leased.Version < version)
            {
                Removed(key);
                leased.Close(_clock.NowNs);
            }
        }
    }

    internal LeasedClient? FindLeased(string clientId) =>
        _registered.TryGetValue(Encoding.UTF8.GetBytes(clientId), out RegisteredClient? known)
            ? known as LeasedClient : null;

    internal void DistrustVersions()
    {
        foreach ((_, RegisteredClient client) in _registered)
        {
            (client as LeasedClient)?.DistrustVersion();
        }
    }
}
