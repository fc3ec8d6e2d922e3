using System.Runtime.InteropServices;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Counts the requests in flight of each client, for concurrency limits. A client is in the table only while
/// it has requests in flight, so the bound of connections also bounds the table. Thread-safe. It uses striped locks,
/// because a count must go down exactly as often as it went up.</summary>
internal sealed class ConcurrencyTable
{
    private const int Stripes = 64;

    private readonly Dictionary<ulong, int>[] _counts =
        [.. Enumerable.Range(0, Stripes).Select(static _ => new Dictionary<ulong, int>())];

    /// <summary>The number of clients with requests in flight.</summary>
    public int Count => _counts.Sum(static c =>
    {
        lock (c)
        {
            return c.Count;
        }
    });

    /// <param name="key">The key of a client under a limit. It is seeded, so that nobody outside can make two equal
    /// keys.</param>
    /// <param name="max">At least 1.</param>
    public bool TryEnter(ulong key, int max)
    {
        Dictionary<ulong, int> counts = _counts[key % Stripes];
        lock (counts)
        {
            ref int count = ref CollectionsMarshal.GetValueRefOrAddDefault(counts, key, out _);
            if (count >= max)
            {
                return false;
            }
            count++;
            return true;
        }
    }

    public void Leave(ulong key)
    {
        Dictionary<ulong, int> counts = _counts[key % Stripes];
        lock (counts)
        {
            ref int count = ref CollectionsMarshal.GetValueRefOrAddDefault(counts, key, out _);
            if (--count <= 0)
            {
                counts.Remove(key);
            }
        }
    }

    public int Peek(ulong key)
    {
        Dictionary<ulong, int> counts = _counts[key % Stripes];
        lock (counts)
        {
            return counts.GetValueOrDefault(key);
        }
    }
}
