using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A registered client and the tokens in its bucket, with their fraction, at the time of asking.</summary>
/// <param name="Terms">What else is set for it; null: nothing.</param>
public readonly record struct ClientTokens(
    string ClientId, LimitConfig Limit, double Tokens, ClientTerms? Terms = null);

/// <summary>Every client's bucket. Requests take tokens from the event loops without a lock; the control plane
/// registers and changes clients while traffic flows, and the next request sees it. Thread-safe.</summary>
public sealed partial class Limiter
{
    /// <summary>An empty bucket must fill within this time, so that its arithmetic stays exact.</summary>
    private const double MaxSecondsToFull = 100 * 365.25 * 24 * 3600;

    /// <summary>Apart from those of clients' names.</summary>
    private const ulong SlotDomain = ulong.MaxValue;
    private const double MinRatePerSecond = 1.0 / (100 * 24 * 3600);

    private readonly ConcurrentDictionary<byte[], RegisteredClient> _registered;
    private readonly ConcurrentDictionary<byte[], RegisteredClient>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private readonly RegisteredAddresses _addresses = new();
    private readonly Lock _editing = new();
    private readonly KeyHash _idHash = new();
    private readonly bool _keepsBuckets;
    private readonly Dictionary<string, int> _numbers = [];
    private readonly Queue<int> _free = [];

    /// <summary>The buckets that all requests share, by their limits' names.</summary>
    private readonly Dictionary<string, OwnedClient> _common = [];
    private readonly int _maxTracked;
    private KeyHash _hash = new();
    private volatile BucketTable _table;
    private volatile Limit[] _limits;
    private readonly MonotonicClock _clock;
    private volatile bool _anyRegistered;
    private volatile bool _anyHashed;

    internal Limiter(ProxyConfig config, MonotonicClock clock)
    {
        _clock = clock;
        IdComparer = new ClientIdComparer(_idHash);
        _registered = new(IdComparer);
        _lookup = _registered.GetAlternateLookup<ReadOnlySpan<byte>>();
        _maxTracked = config.Clients.MaxTracked;
        _keepsBuckets = config.Clients.SaveUnregistered;
        _limits = [];
        _table = NewTable([]);
        Apply(config.Limits);
        WaitsForTokens = config.Timeouts.Tokens > TimeSpan.Zero;
    }

    /// <summary>Requests wait for shared tokens.</summary>
    internal bool WaitsForTokens { get; set; }

    /// <summary>A request has waited for shared tokens for as long as it may.</summary>
    internal void NoteWaitedInVain() => _leases?.NoteWaitedInVain(_clock.NowNs);

    /// <summary>Takes over changed limits. A limit with another capacity or rate is a new one, whose buckets begin with
    /// the tokens that the old one's have. One caller at a time.</summary>
    /// <returns>False when there are thousands of them: limits stay as they are.</returns>
    internal bool Apply(IReadOnlyDictionary<string, LimitConfig> limits)
    {
        long now = _clock.NowNs;
        if (!HasNumbersFor(limits.Count, now))
        {
            return false;
        }
        _configured = limits;
        List<Limit> all = [.. _limits];
        List<(Limit Old, Limit New)> replaced = [];
        foreach ((string name, LimitConfig config) in limits)
        {
            bool common = config.By == LimitKey.All;
            if (config.Capacity == 0 || common)
            {
                Forget(name, now);
            }
            if (config.Capacity == 0 || !common)
            {
                _common.Remove(name);
            }
            if (config.Capacity > 0 && common)
            {
                ApplyCommon(name, config);
            }
            else if (config.Capacity > 0)
            {
                ApplyTracked(all, replaced, name, config);
            }
        }
        foreach (string gone in _numbers.Keys.Concat(_common.Keys).Except(limits.Keys).ToList())
        {
            Forget(gone, now);
            _common.Remove(gone);
        }
        if (!all.SequenceEqual(_limits))
        {
            _table = _limits.Length == 0 ? NewTable(all) : _table;
            _table.Apply(all);
            _limits = [.. all];
        }
        foreach ((Limit old, Limit changed) in replaced)
        {
            old.ReplacedAtNs = now;
            old.Next = changed; // from now on, for every loop
        }
        return true;
    }

    /// <summary>Numbers are few, and each change of a limit takes one. Those of limits that are not in force any more
    /// are used again, the longest free first, so that whoever still looks at one has long ended.</summary>
    private bool HasNumbersFor(int count, long nowNs)
    {
        if (_limits.Length + count > BucketTable.MaxLimits && _free.Count < count)
        {
            _table.Settle(nowNs);
            foreach (int number in Enumerable.Range(0, _limits.Length).Except(_free).ToList())
            {
                if (_limits[number].Number < 0)
                {
                    _free.Enqueue(number);
                }
            }
        }
        return BucketTable.MaxLimits - _limits.Length + _free.Count >= count;
    }

    private void Forget(string name, long nowNs)
    {
        if (_numbers.Remove(name, out int number))
        {
            _limits[number].ReplacedAtNs = nowNs;
        }
    }

    private void ApplyTracked(List<Limit> all, List<(Limit Old, Limit New)> replaced, string name, LimitConfig config)
    {
        int before = NumberOf(name);
        if (before >= 0 && IsSame(all[before].Config, config))
        {
            return;
        }
        var limit = new Limit(name, config);
        if (before >= 0)
        {
            limit.Before = all[before];
            replaced.Add((all[before], limit));
        }
        if (all.Count < BucketTable.MaxLimits)
        {
            _numbers[name] = all.Count;
            all.Add(limit);
        }
        else
        {
            all[_numbers[name] = _free.Dequeue()] = limit;
        }
    }

    private void ApplyCommon(string name, LimitConfig config)
    {
        OwnedClient? known = _common.GetValueOrDefault(name);
        if (known is null || !IsSame(known.Config, config))
        {
            _common[name] = known?.Change(config, null, _clock.NowNs)
                ?? new OwnedClient(name, config, config.Capacity, _clock.NowNs, name);
        }
    }

    private static bool IsSame(LimitConfig a, LimitConfig b) =>
        a.Capacity == b.Capacity && a.RatePerSecond.Equals(b.RatePerSecond);

    /// <summary>A limit as requests meet it.</summary>
    internal LimitRule RuleOf(string name, LimitConfig config) => new(name, config,
        NumberOf(name) is >= 0 and var number ? _limits[number] : null,
        _common.GetValueOrDefault(name), _idHash.Hash(Encoding.UTF8.GetBytes(name), SlotDomain));

    /// <summary>Requests under way, for limits that bound them.</summary>
    internal SlotTable Slots { get; } = new();

    public int RegisteredCount => _registered.Count;

    /// <summary>How often a bucket in use gave way to a new client's since start: more than now and then says that
    /// <see cref="ClientsConfig.MaxTracked"/> is too low.</summary>
    public long Displaced => _table.Displaced;

    internal bool AnyRegistered => _anyRegistered;

    /// <summary>Some client is registered by the hash of its key, or was.</summary>
    internal bool AnyHashed => _anyHashed;

    internal ClientIdComparer IdComparer { get; }

    /// <summary>Why a limit is refused, or null.</summary>
    /// <param name="capacity">Tokens, 1 to 1,000,000,000.</param>
    /// <param name="ratePerSecond">Tokens per second, from one in 100 days to 1,000,000.</param>
    public static string? Fault(long capacity, double ratePerSecond)
    {
        if (capacity is < 1 or > 1_000_000_000)
        {
            return "capacity must be from 1 to 1000000000";
        }
        if (!(ratePerSecond >= MinRatePerSecond && ratePerSecond <= 1_000_000))
        {
            return "rate must be from one in 100 days to 1000000 per second";
        }
        return capacity / ratePerSecond > MaxSecondsToFull
            ? "an empty bucket would need more than 100 years to fill; lower the capacity or raise the rate" : null;
    }

    /// <summary>Registers a client or changes its limit; the next request sees it.</summary>
    /// <param name="limit">With a plan, its numbers.</param>
    /// <param name="tokens">Tokens now; null means full for a new client, kept and clamped for a known one.</param>
    /// <param name="terms">What else holds for it; null: nothing.</param>
    public void Register(string clientId, LimitConfig limit, double? tokens = null, ClientTerms? terms = null)
    {
        byte[] key = Encoding.UTF8.GetBytes(clientId);
        lock (_editing)
        {
            long now = _clock.NowNs;
            RegisteredClient? known = _registered.GetValueOrDefault(key);
            Limit compiled = PlanLimit(terms, limit, 0) ?? new Limit(RegisteredClient.LimitName, limit);
            OwnedClient client = known is OwnedClient owned ? owned.Change(compiled, tokens, now)
                : new OwnedClient(clientId, compiled, tokens ?? limit.Capacity, now);
            client.Terms = TermsOf(clientId, terms, known?.Terms, now);
            _registered[key] = client;
            Added(key);
        }
    }

    public bool Unregister(string clientId)
    {
        lock (_editing)
        {
            return Removed(Encoding.UTF8.GetBytes(clientId));
        }
    }

    /// <summary>Fills the client's bucket.</summary>
    /// <returns>False when no such client is registered.</returns>
    public bool Reset(string clientId)
    {
        byte[] key = Encoding.UTF8.GetBytes(clientId);
        lock (_editing)
        {
            if (!_registered.TryGetValue(key, out RegisteredClient? known) || known is not OwnedClient client)
            {
                return false;
            }
            _registered[key] = client.Change(client.Config, client.Config.Capacity, _clock.NowNs);
            return true;
        }
    }

    /// <summary>The ids of all clients, at this moment or another.</summary>
    public IEnumerable<string> RegisteredIds => _registered.Select(static entry => entry.Value.Id);

    public bool TryGet(string clientId, out ClientTokens state)
    {
        lock (_editing)
        {
            bool found = _registered.TryGetValue(Encoding.UTF8.GetBytes(clientId), out RegisteredClient? client);
            state = found ? new ClientTokens(clientId, client!.Config, client.TokensAt(_clock.NowNs),
                client.Terms?.Terms) : default;
            return found;
        }
    }

    /// <summary>Adds the registered clients whose bucket moved since the last collection. One caller only.</summary>
    public void CollectChanged(List<ClientTokens> into)
    {
        ArgumentNullException.ThrowIfNull(into);
        long now = _clock.NowNs;
        foreach ((_, RegisteredClient client) in _registered)
        {
            if (client is OwnedClient owned && owned.TakeChange(now, out double tokens))
            {
                into.Add(new ClientTokens(owned.Id, owned.Config, tokens, owned.Terms?.Terms));
            }
        }
    }

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
        return _addresses.TryFind(address, out known) && _registered.TryGetValue(known, out client);
    }

    internal ulong HashOf(ReadOnlySpan<byte> key, ulong domain) => _hash.Hash(key, domain);

    /// <summary>Number of the limit of that name for <see cref="TryTake"/>; -1 when there is none.</summary>
    internal int NumberOf(string name) => _numbers.GetValueOrDefault(name, -1);

    internal Limit LimitAt(int number) => _limits[number];

    /// <summary>The word of the bucket of a client without a setting of its own.</summary>
    internal long Peek(ulong hash, int limit, long nowNs) => _table.Peek(hash, limit, nowNs);

    /// <summary>Takes tokens from that bucket if they are there.</summary>
    internal bool TryTake(ulong hash, int limit, long nowNs, int cost, out long word) =>
        _table.TryTake(hash, limit, nowNs, cost, out word);

    /// <summary>Takes them in any case; a negative cost gives them back.</summary>
    internal long Charge(ulong hash, int limit, long nowNs, int cost) => _table.Charge(hash, limit, nowNs, cost);

    private void Added(byte[] key)
    {
        _anyRegistered = true;
        _anyHashed |= HashedKey.IsHash(key);
        _addresses.Add(key);
    }

    private bool Removed(byte[] key)
    {
        bool removed = _registered.TryRemove(key, out _);
        _addresses.Remove(key);
        _anyRegistered = !_registered.IsEmpty;
        return removed;
    }

    internal BucketTable Table => _table;

    /// <summary>Buckets of clients without a setting of their own are kept over restarts: their keys are hashed as they
    /// were before. To call before the first request, where <see cref="ClientsConfig.SaveUnregistered"/>.</summary>
    /// <param name="hashKey">16 octets.</param>
    /// <param name="savedAtUnixNs">When buckets were last saved.</param>
    public KeptBuckets KeepBuckets(ReadOnlySpan<byte> hashKey, long savedAtUnixNs)
    {
        _hash = new KeyHash(hashKey);
        return new KeptBuckets(this, _clock, savedAtUnixNs);
    }

    private BucketTable NewTable(IReadOnlyList<Limit> limits) => new(limits.Count == 0 ? 1
        : Math.Max(_keepsBuckets ? BucketTable.LeastKeptEntries : 1, (long)_maxTracked * BucketTable.EntriesPerBucket),
        limits);
}
