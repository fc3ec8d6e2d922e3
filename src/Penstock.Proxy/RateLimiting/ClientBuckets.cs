using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The registered clients and their buckets. Requests find a client without a lock; the control plane
/// registers and changes clients while traffic flows, and the next request sees it. Thread-safe.</summary>
public sealed partial class ClientBuckets
{
    private readonly ConcurrentDictionary<byte[], RegisteredClient> _clients;
    private readonly ConcurrentDictionary<byte[], RegisteredClient>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private readonly RegisteredAddresses _addresses = new();
    private readonly Lock _editing = new();
    private readonly MonotonicClock _clock;
    private readonly BucketFactory _newBucket;
    private volatile bool _any;
    private volatile bool _anyHashed;

    /// <summary>Makes the bucket of a client that is new.</summary>
    internal delegate Bucket BucketFactory(in ClientState client, Limit limit, long nowNs);

    internal ClientBuckets(ClientIdComparer ids, MonotonicClock clock, BucketFactory newBucket)
    {
        _clock = clock;
        _newBucket = newBucket;
        _clients = new(ids);
        _lookup = _clients.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    public int Count => _clients.Count;

    /// <summary>The ids of all clients, at this moment or another.</summary>
    public IEnumerable<string> Ids => _clients.Select(static entry => entry.Value.Id);

    internal bool Any => _any;

    /// <summary>Some client is registered by the hash of its key, or was.</summary>
    internal bool AnyHashed => _anyHashed;

    /// <summary>Registers a client whose bucket is this process' own, or changes it; the next request sees
    /// it.</summary>
    /// <param name="limit">With a plan, its numbers.</param>
    /// <param name="tokens">Tokens now; null means full for a new client, kept and clamped for a known one.</param>
    /// <param name="terms">What else holds for it; null: nothing.</param>
    public void Register(string clientId, LimitConfig limit, double? tokens = null, ClientTerms? terms = null)
    {
        ArgumentNullException.ThrowIfNull(limit);
        Put(new ClientState(clientId, limit, tokens ?? limit.Capacity, terms), keepsTokens: tokens is null);
    }

    /// <summary>Registers a client or changes it, unless a newer edit is known; the next request sees it.</summary>
    /// <param name="keepsTokens">The bucket of a client that is known keeps its tokens, as far as the capacity has
    /// room. Of no meaning where nodes share the tokens: there the epoch tells.</param>
    public void Put(in ClientState client, bool keepsTokens = false)
    {
        byte[] key = Encoding.UTF8.GetBytes(client.ClientId);
        lock (_editing)
        {
            long now = _clock.NowNs;
            Limit limit = PlanLimit(client) ?? new Limit(RegisteredClient.LimitName, client.Limit);
            if (!_clients.TryGetValue(key, out RegisteredClient? known))
            {
                _clients[key] = new RegisteredClient(client.ClientId, _newBucket(client, limit, now))
                {
                    Terms = TermsOf(client.Terms, null, now),
                };
                _any = true;
                _anyHashed |= HashedKey.IsHash(key);
                _addresses.Add(key);
            }
            else if (known.Bucket.TryApply(client, limit, keepsTokens, now, out Bucket bucket))
            {
                known.Bucket = bucket;
                known.Terms = TermsOf(client.Terms, known.Terms, now);
            }
        }
    }

    /// <summary>Forgets a client that was deleted in that version, unless what is known of it is newer.</summary>
    /// <returns>False when there is nothing to forget.</returns>
    public bool Remove(string clientId, long version = long.MaxValue)
    {
        byte[] key = Encoding.UTF8.GetBytes(clientId);
        lock (_editing)
        {
            if (!_clients.TryGetValue(key, out RegisteredClient? known) || known.Bucket.IsAsNewAs(version))
            {
                return false;
            }
            _clients.TryRemove(key, out _);
            _addresses.Remove(key);
            _any = !_clients.IsEmpty;
            known.Bucket.Close(_clock.NowNs);
            return true;
        }
    }

    public bool TryGet(string clientId, out ClientState state)
    {
        lock (_editing)
        {
            bool found = _clients.TryGetValue(Encoding.UTF8.GetBytes(clientId), out RegisteredClient? client);
            state = found ? new ClientState(clientId, client!.Bucket.Config, client.Bucket.TokensAt(_clock.NowNs),
                client.Terms?.Terms) : default;
            return found;
        }
    }

    /// <summary>Whole tokens of a client that this node has leased and not used; 0 for one that is not registered.
    /// </summary>
    public long LeasedTokensOf(string clientId) => Find(clientId)?.Bucket.LeasedTokens ?? 0;

    /// <summary>Lets the next state of every client count as newer.</summary>
    public void AcceptAnyVersion()
    {
        foreach ((_, RegisteredClient client) in _clients)
        {
            client.Bucket.AcceptAnyVersion();
        }
    }

    /// <summary>Adds the clients whose tokens this process must save and whose bucket changed since the last
    /// collection. One caller only.</summary>
    public void CollectChanged(List<ClientState> into)
    {
        ArgumentNullException.ThrowIfNull(into);
        long now = _clock.NowNs;
        foreach ((_, RegisteredClient client) in _clients)
        {
            Bucket bucket = client.Bucket;
            if (bucket.TryCollect(now, out double tokens))
            {
                into.Add(new ClientState(client.Id, bucket.Config, tokens, client.Terms?.Terms));
            }
        }
    }

    internal RegisteredClient? Find(string clientId) => _clients.GetValueOrDefault(Encoding.UTF8.GetBytes(clientId));

    internal bool TryFind(ReadOnlySpan<byte> id, [NotNullWhen(true)] out RegisteredClient? client) =>
        _lookup.TryGetValue(id, out client);

    /// <param name="known">The id as it is kept.</param>
    internal bool TryFind(ReadOnlySpan<byte> id, [NotNullWhen(true)] out RegisteredClient? client, out byte[]? known) =>
        _lookup.TryGetValue(id, out known, out client);

    /// <summary>The client that the address is registered as, by itself or by the smallest network.</summary>
    /// <param name="address">Null behind a Unix domain socket, whose callers are all one client.</param>
    /// <param name="known">The id as it is kept.</param>
    internal bool TryFind(IPAddress? address, ReadOnlySpan<byte> name, [NotNullWhen(true)] out RegisteredClient? client,
        out byte[]? known)
    {
        if (address is null)
        {
            return TryFind(name, out client, out known);
        }
        client = null;
        return _addresses.TryFind(address, out known) && _clients.TryGetValue(known, out client);
    }
}
