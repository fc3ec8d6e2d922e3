using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The registered clients and their buckets. Requests find a client without a lock. The control plane
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

    /// <summary>Creates the bucket of a new client.</summary>
    internal delegate Bucket BucketFactory(in ClientState client, Limit limit, long nowNs);

    internal ClientBuckets(ClientIdComparer ids, MonotonicClock clock, BucketFactory newBucket)
    {
        _clock = clock;
        _newBucket = newBucket;
        _clients = new(ids);
        _lookup = _clients.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    /// <summary>The number of registered clients.</summary>
    public int Count => _clients.Count;

    /// <summary>The ids of all clients. Edits during the enumeration may or may not appear.</summary>
    public IEnumerable<string> Ids => _clients.Select(static entry => entry.Value.Id);

    /// <summary>The buckets of clients that have numbers of their own for a limit of the configuration.</summary>
    internal IEnumerable<(RegisteredClient Client, LocalBucket Bucket)> NamedBuckets => _clients.SelectMany(
        static entry => entry.Value.Terms is not { } terms ? []
            : terms.Buckets.Select(bucket => (entry.Value, bucket)));

    internal bool Any => _any;

    /// <summary>Whether a client is or was registered by the hash of its key.</summary>
    internal bool AnyHashed => _anyHashed;

    /// <summary>Registers or changes a client whose bucket is in this process. The next request sees it.</summary>
    /// <param name="limit">Its capacity and rate; with a plan, the plan's.</param>
    /// <param name="tokens">Tokens in the bucket now; null: full for a new client; for a known one the tokens stay, up
    /// to the new capacity.</param>
    /// <param name="terms">Further terms; null: none.</param>
    public void Register(string clientId, LimitConfig limit, double? tokens = null, ClientTerms? terms = null)
    {
        ArgumentNullException.ThrowIfNull(limit);
        Put(new ClientState(clientId, limit, tokens ?? limit.Capacity, terms), keepsTokens: tokens is null);
    }

    /// <summary>Registers or changes a client; does nothing when a newer edit is known. The next request sees
    /// it.</summary>
    /// <param name="keepsTokens">A known client's bucket keeps its tokens, up to the new capacity. Ignored when nodes
    /// share the tokens; then the epoch decides.</param>
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

    /// <summary>Forgets a client that was deleted in this version; does nothing when a newer edit is known.</summary>
    /// <returns>False when nothing was forgotten.</returns>
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

    /// <summary>A registered client's state now; false when the client is not registered.</summary>
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

    /// <summary>Whole tokens of a client that this node has leased and not yet used; 0 for an unregistered
    /// client.</summary>
    public long LeasedTokensOf(string clientId) => Find(clientId)?.Bucket.LeasedTokens ?? 0;

    /// <summary>Makes the next state of every client count as newer, whatever its version.</summary>
    public void AcceptAnyVersion()
    {
        foreach ((_, RegisteredClient client) in _clients)
        {
            client.Bucket.AcceptAnyVersion();
        }
    }

    /// <summary>Adds the clients whose tokens this process must save and whose buckets have changed since the last
    /// call. One caller at a time.</summary>
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

    /// <summary>The clients with the smallest shares of their tokens left, the smallest first; at most
    /// <paramref name="count"/>. Clients with full buckets are left out. Reads all clients.</summary>
    public IReadOnlyList<ClientState> Lowest(int count)
    {
        long now = _clock.NowNs;
        var lowest = new PriorityQueue<ClientState, double>();
        foreach ((_, RegisteredClient client) in _clients)
        {
            if (client.Terms?.Terms is { HasNumbers: false })
            {
                continue;
            }
            double tokens = client.Bucket.TokensAt(now);
            double share = tokens / client.Bucket.Config.Capacity;
            if (share < 1 && (lowest.Count < count || lowest.TryPeek(out _, out double largest) && share < -largest))
            {
                lowest.Enqueue(new ClientState(client.Id, client.Bucket.Config, tokens, client.Terms?.Terms), -share);
                if (lowest.Count > count)
                {
                    lowest.Dequeue();
                }
            }
        }
        return [.. lowest.UnorderedItems.OrderByDescending(static one => one.Priority)
            .Select(static one => one.Element)];
    }

    internal RegisteredClient? Find(string clientId) => _clients.GetValueOrDefault(Encoding.UTF8.GetBytes(clientId));

    internal bool TryFind(ReadOnlySpan<byte> id, [NotNullWhen(true)] out RegisteredClient? client) =>
        _lookup.TryGetValue(id, out client);

    /// <param name="known">The stored id, which outlives the request.</param>
    internal bool TryFind(ReadOnlySpan<byte> id, [NotNullWhen(true)] out RegisteredClient? client, out byte[]? known) =>
        _lookup.TryGetValue(id, out known, out client);

    /// <summary>Finds the client that is registered by the address itself or by the smallest network that contains
    /// it.</summary>
    /// <param name="address">Null for a Unix domain socket, whose callers are all one client.</param>
    /// <param name="known">The stored id, which outlives the request.</param>
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
