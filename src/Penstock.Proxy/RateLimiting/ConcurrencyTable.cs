using System.Runtime.InteropServices;

namespace Penstock.Proxy.RateLimiting;

/// <summary>How many requests each client has under way, for limits that bound them. A client is in the table only
/// while it has any, so that what bounds connections bounds the table. Thread-safe; a striped lock, because a count
/// must go down exactly as often as it went up.</summary>
internal sealed class ConcurrencyTable
{
    private const int Stripes = 64;

    private readonly Dictionary<ulong, int>[] _counts =
        [.. Enumerable.Range(0, Stripes).Select(static _ => new Dictionary<ulong, int>())];

    /// <summary>Clients that have a request under way.</summary>
    public int Count => _counts.Sum(static c =>
    {
        lock (c)
        {
            return c.Count;
        }
    });

    /// <param name="key">Of a client under a limit: seeded, so that nobody can make two alike.</param>
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
