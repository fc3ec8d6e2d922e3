using System.Collections.Concurrent;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The limits of the configuration in force, with the buckets of unregistered clients and those that all
/// requests share. Taking tokens is thread-safe; changes need one caller at a time.</summary>
internal sealed class LimitTable
{
    /// <summary>Tells hashes of limits' names from hashes of clients' names.</summary>
    private const ulong NameDomain = ulong.MaxValue;

    private readonly MonotonicClock _clock;
    private readonly KeyHash _nameHash;
    private readonly int _maxTracked;
    private readonly bool _keepsBuckets;
    private readonly Dictionary<string, int> _numbers = [];
    private readonly Queue<int> _freeNumbers = [];

    /// <summary>The buckets that all requests share, by their limits' names.</summary>
    private readonly Dictionary<string, LocalBucket> _common = [];
    private readonly ConcurrentDictionary<string, LimitCounts> _counts = [];
    private readonly int _loops;
    private volatile Limit[] _limits = [];
    private volatile BucketTable _table;
    private volatile Dictionary<string, (Limit? Tracked, LocalBucket? Common)> _byName = [];
    private volatile IReadOnlyDictionary<string, LimitConfig> _configured = new Dictionary<string, LimitConfig>();

    public LimitTable(ProxyConfig config, MonotonicClock clock, KeyHash nameHash)
    {
        (_clock, _nameHash, _loops) = (clock, nameHash, config.LoopCount);
        OwnCounts = CountsOf(RegisteredClient.LimitName);
        _maxTracked = config.Clients.MaxTracked;
        _keepsBuckets = config.Clients.SaveUnregistered;
        _table = NewTable([]);
        TryApply(config.Limits);
    }

    public IReadOnlyDictionary<string, LimitConfig> Configured => _configured;

    /// <summary>The buckets of unregistered clients.</summary>
    public BucketTable Table => _table;

    /// <summary>The decisions of registered clients' own limits.</summary>
    public LimitCounts OwnCounts { get; }

    /// <summary>The decisions of all limits since start, also of those that no longer exist. Thread-safe.</summary>
    public IEnumerable<LimitCounts> Counts => _counts.Values;

    /// <summary>Puts changed limits in force. A limit with another capacity or rate is a new limit, whose buckets begin
    /// with the old buckets' tokens.</summary>
    /// <returns>False when there are thousands of limits; then they stay as they are.</returns>
    public bool TryApply(IReadOnlyDictionary<string, LimitConfig> limits)
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
                PutCommon(name, config);
            }
            else if (config.Capacity > 0)
            {
                PutTracked(all, replaced, name, config);
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
            old.Successor = changed; // takes effect for every loop
        }
        _byName = limits.Keys.ToDictionary(static name => name,
            name => (Find(name), _common.GetValueOrDefault(name)));
        return true;
    }

    /// <summary>The rule of a limit.</summary>
    public LimitRule RuleOf(string name, LimitConfig config) => new(name, config, Find(name),
        _common.GetValueOrDefault(name), _nameHash.Hash(Encoding.UTF8.GetBytes(name), NameDomain))
    {
        Counts = CountsOf(name),
    };

    /// <summary>The buckets that all requests share.</summary>
    public IEnumerable<LocalBucket> Common => _byName.Values.Select(static found => found.Common).OfType<LocalBucket>();

    /// <summary>The limit of this name: with buckets in the table, or with one bucket that all requests share; neither
    /// when there is no such limit. Thread-safe.</summary>
    public (Limit? Tracked, LocalBucket? Common) Lookup(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The limit of this name with buckets in the table; null when there is none.</summary>
    public Limit? Find(string name) => _numbers.TryGetValue(name, out int number) ? _limits[number] : null;

    private LimitCounts CountsOf(string name) =>
        _counts.GetOrAdd(name, static (name, loops) => new LimitCounts(name, loops), _loops);

    /// <summary>Whether enough numbers are free; frees some if not. Numbers are few, and each change of a limit takes
    /// one. Numbers of replaced limits are reused, the oldest first, so that requests that used them have ended long
    /// ago.</summary>
    private bool HasNumbersFor(int count, long nowNs)
    {
        if (_limits.Length + count > BucketTable.MaxLimits && _freeNumbers.Count < count)
        {
            _table.Settle(nowNs);
            foreach (int number in Enumerable.Range(0, _limits.Length).Except(_freeNumbers).ToList())
            {
                if (_limits[number].Number < 0)
                {
                    _freeNumbers.Enqueue(number);
                }
            }
        }
        return BucketTable.MaxLimits - _limits.Length + _freeNumbers.Count >= count;
    }

    private void Forget(string name, long nowNs)
    {
        if (_numbers.Remove(name, out int number))
        {
            _limits[number].ReplacedAtNs = nowNs;
        }
    }

    private void PutTracked(List<Limit> all, List<(Limit Old, Limit New)> replaced, string name, LimitConfig config)
    {
        Limit? before = Find(name);
        if (before is not null && before.HasNumbersOf(config))
        {
            return;
        }
        var limit = new Limit(name, config) { Predecessor = before };
        if (before is not null)
        {
            replaced.Add((before, limit));
        }
        if (all.Count < BucketTable.MaxLimits)
        {
            _numbers[name] = all.Count;
            all.Add(limit);
        }
        else
        {
            all[_numbers[name] = _freeNumbers.Dequeue()] = limit;
        }
    }

    private void PutCommon(string name, LimitConfig config)
    {
        LocalBucket? known = _common.GetValueOrDefault(name);
        if (known is null || !known.Limit.HasNumbersOf(config))
        {
            _common[name] = known?.Change(new Limit(name, config), null, _clock.NowNs)
                ?? new LocalBucket(name, config, _clock.NowNs);
        }
    }

    private BucketTable NewTable(IReadOnlyList<Limit> limits) => new(limits.Count == 0 ? 1
        : Math.Max(_keepsBuckets ? BucketTable.MinKeptEntries : 1, (long)_maxTracked * BucketTable.EntriesPerBucket),
        limits);
}
