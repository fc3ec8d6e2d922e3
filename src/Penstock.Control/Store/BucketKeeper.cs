using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>Saves the buckets of unregistered clients and restores them after a restart. Not thread-safe.</summary>
internal sealed class BucketKeeper
{
    /// <summary>How many changes are sorted together, because adjacent rows share a page.</summary>
    private const int BatchSize = 65_536;

    /// <summary>Rows per transaction. An edit waits for at most one transaction, some ten milliseconds.</summary>
    private const int ChunkSize = 8192;

    /// <summary>Saving takes at most this share of the time; with very many changes it runs less often.</summary>
    private const double MaxShare = 0.2;

    private readonly KeptBuckets _buckets;
    private readonly SqliteStore _store;
    private readonly ClientDirectory _directory;
    private readonly Dictionary<int, long> _limitIds = [];
    private readonly List<BucketChange> _changes = [];
    private long _endedTicks = Stopwatch.GetTimestamp();
    private TimeSpan _took;
    private bool _oldForgotten;

    private BucketKeeper(KeptBuckets buckets, SqliteStore store, ClientDirectory directory) =>
        (_buckets, _store, _directory) = (buckets, store, directory);

    /// <summary>Restores the saved buckets; null if buckets are not to be saved.</summary>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public static BucketKeeper? Load(
        bool wanted, IClientStore store, ClientDirectory directory, Limiter limiter, ILogger log)
    {
        if (store is not SqliteStore own)
        {
            return null;
        }

        if (!wanted)
        {
            own.ForgetBuckets(static _ => false); // they would be out of date when saving is switched on again
            return null;
        }
        long beganTicks = Stopwatch.GetTimestamp();
        (byte[] hashKey, long savedAt) = own.BucketHash();
        KeptBuckets buckets = limiter.KeepBuckets(hashKey, savedAt);
        own.ForgetFullBuckets();
        int count = 0;
        own.LoadBuckets((limit, hash, fullAt) => count += buckets.Restore(limit, hash, fullAt) ? 1 : 0);
        log.LogInformation(Events.BucketsLoaded,
            "restored buckets of unregistered clients: {Count}, in {DurationMs} ms",
            count, (long)Stopwatch.GetElapsedTime(beganTicks).TotalMilliseconds);
        return new(buckets, own, directory);
    }

    /// <summary>The buckets that it saves.</summary>
    public KeptBuckets Buckets => _buckets;

    /// <summary>Saves the changed buckets, unless the last save was too recent.</summary>
    /// <param name="atOnce">Save in any case; used at the end.</param>
    public void Flush(bool atOnce = false)
    {
        if (_directory.StoreFault is not null)
        {
            return;
        }

        if (!atOnce && Stopwatch.GetElapsedTime(_endedTicks) < _took * ((1 / MaxShare) - 1))
        {
            return;
        }

        long beganTicks = Stopwatch.GetTimestamp();
        for (bool more = true; more;)
        {
            _changes.Clear();
            more = _buckets.Collect(_changes, BatchSize);
            _changes.Sort(BucketChange.ByKey);
            if (!Save(_changes.ToArray()))
            {
                return;
            }
        }
        if (!_oldForgotten)
        {
            _oldForgotten = _directory.TryStore(() => _store.ForgetBuckets(_buckets.Knows));
        }

        _endedTicks = Stopwatch.GetTimestamp();
        _took = Stopwatch.GetElapsedTime(beganTicks);
    }

    private bool Save(ReadOnlyMemory<BucketChange> changes)
    {
        for (; !changes.IsEmpty; changes = changes[Math.Min(ChunkSize, changes.Length)..])
        {
            ReadOnlyMemory<BucketChange> chunk = changes[..Math.Min(ChunkSize, changes.Length)];
            if (!_directory.TryStore(() => Save(chunk, _limitIds)))
            {
                return false;
            }

            _buckets.Commit(chunk.Span);
        }
        return true;
    }

    private void Save(ReadOnlyMemory<BucketChange> chunk, Dictionary<int, long> limitIds)
    {
        foreach (BucketChange change in chunk.Span)
        {
            if (!limitIds.ContainsKey(change.Limit))
            {
                limitIds[change.Limit] = _store.BucketLimitId(_buckets.LimitAt(change.Limit));
            }
        }
        _store.SaveBuckets(chunk, limitIds);
    }
}
