namespace Penstock.Proxy.RateLimiting;

/// <summary>One rejection, as the loop reports it. Its bytes need to be valid only during the call.</summary>
internal readonly ref struct RejectionNote
{
    /// <summary>Hash of client and limit.</summary>
    public required ulong ClientLimitHash { get; init; }
    public required ReadOnlySpan<byte> Client { get; init; }

    /// <summary>The entry of <c>clients.identify</c> that identified the client.</summary>
    public required string IdentifiedBy { get; init; }
    public required byte[] Limit { get; init; }
    public required byte[] Route { get; init; }
    public required ReadOnlySpan<byte> RequestId { get; init; }
    public required long Tokens { get; init; }
    public required int Cost { get; init; }
    public required long RetryAfterSeconds { get; init; }

    /// <summary>The request was admitted, because the limit is in dry run.</summary>
    public required bool DryRun { get; init; }
}

/// <summary>One loop's records of rejections: the last ones, and the clients that are rejected most often. It uses
/// constant memory, allocated at the first rejection. Only the loop writes; other threads may call the members that say
/// "Thread-safe".
///
/// The clients with the highest counts are found by Space-Saving (Metwally, Agrawal and El Abbadi 2005), here in sets
/// of 8, so that a newcomer is compared with 8 clients and not with all: it replaces the client with the lowest count
/// of its set, and takes over that count as its own possible error. A client enters the list of last rejections at most
/// once a second, so that one client does not displace all others.</summary>
internal sealed class Rejections
{
    private const int Ways = 8;
    private const int Counters = 64 * Ways;
    private const int MaxLast = 256;
    private const int NameBytes = 256;
    private const int IdBytes = 64;
    private const long ListEveryNs = 1_000_000_000;

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private Counter[]? _counters;
    private Last[]? _last;
    private long _listed;

    public Rejections(TimeProvider time) => _time = time;

    private struct Counter
    {
        public ulong Key;
        public long Count;
        public long Error;
        public long ListedNs;
        public long CountWhenListed;
        public long LastNs;
        public int NameLength;
        public string IdentifiedBy;
        public byte[] Limit;
        public byte[] Name;
    }

    private struct Last
    {
        public DateTimeOffset Time;
        public long Times;
        public int NameLength;
        public int IdLength;
        public string IdentifiedBy;
        public byte[] Limit;
        public byte[] Route;
        public long Tokens;
        public int Cost;
        public long RetryAfterSeconds;
        public bool DryRun;
        public byte[] Name;
        public byte[] Id;
    }

    public void Add(in RejectionNote note, long nowNs)
    {
        lock (_lock)
        {
            _counters ??= new Counter[Counters];
            ref Counter counter = ref Count(note, nowNs);
            if (nowNs - counter.ListedNs >= ListEveryNs || counter.CountWhenListed == counter.Error)
            {
                List(note, counter.Count - counter.CountWhenListed);
                counter.ListedNs = nowNs;
                counter.CountWhenListed = counter.Count;
            }
        }
    }

    /// <summary>The last rejections, in any order. Thread-safe.</summary>
    public List<Rejection> GetLast()
    {
        var all = new List<Rejection>();
        lock (_lock)
        {
            for (long i = Math.Max(0, _listed - MaxLast); i < _listed; i++)
            {
                ref Last last = ref _last![i % MaxLast];
                all.Add(new Rejection
                {
                    Time = last.Time,
                    Client = Text(last.Name, last.NameLength),
                    IdentifiedBy = last.IdentifiedBy,
                    Limit = Text(last.Limit, last.Limit.Length),
                    Times = last.Times,
                    Tokens = last.Tokens,
                    Cost = last.Cost,
                    RetryAfter = last.RetryAfterSeconds,
                    DryRun = last.DryRun,
                    Route = Text(last.Route, last.Route.Length),
                    RequestId = Text(last.Id, last.IdLength),
                });
            }
        }
        return all;
    }

    /// <summary>The counted clients, each with its key. Thread-safe.</summary>
    public List<(ulong Key, LimitedClient Client)> GetCounts(long nowNs)
    {
        DateTimeOffset now = _time.GetUtcNow();
        var all = new List<(ulong, LimitedClient)>();
        lock (_lock)
        {
            foreach (ref readonly Counter counter in _counters.AsSpan())
            {
                if (counter.Count > 0)
                {
                    all.Add((counter.Key, new LimitedClient(Text(counter.Name, counter.NameLength),
                        counter.IdentifiedBy,
                        Text(counter.Limit, counter.Limit.Length), counter.Count, counter.Error,
                        now - TimeSpan.FromMicroseconds((nowNs - counter.LastNs) / 1000))));
                }
            }
        }
        return all;
    }

    private ref Counter Count(in RejectionNote note, long nowNs)
    {
        Span<Counter> set = _counters.AsSpan((int)(note.ClientLimitHash % (Counters / Ways)) * Ways, Ways);
        int fewest = 0;
        for (int i = 0; i < Ways; i++)
        {
            if (set[i].Key == note.ClientLimitHash && set[i].Count > 0)
            {
                set[i].Count++;
                set[i].LastNs = nowNs;
                return ref set[i];
            }
            fewest = set[i].Count < set[fewest].Count ? i : fewest;
        }
        ref Counter counter = ref set[fewest];
        counter.Name ??= new byte[NameBytes];
        counter.Key = note.ClientLimitHash;
        counter.Error = counter.CountWhenListed = counter.Count++;
        counter.LastNs = nowNs;
        counter.IdentifiedBy = note.IdentifiedBy;
        counter.Limit = note.Limit;
        counter.NameLength = Copy(note.Client, counter.Name);
        return ref counter;
    }

    private void List(in RejectionNote note, long times)
    {
        _last ??= new Last[MaxLast];
        ref Last last = ref _last[_listed++ % MaxLast];
        last.Name ??= new byte[NameBytes];
        last.Id ??= new byte[IdBytes];
        last.Time = _time.GetUtcNow();
        last.Times = times;
        last.NameLength = Copy(note.Client, last.Name);
        last.IdLength = Copy(note.RequestId, last.Id);
        last.IdentifiedBy = note.IdentifiedBy;
        last.Limit = note.Limit;
        last.Route = note.Route;
        last.Tokens = note.Tokens;
        last.Cost = note.Cost;
        last.RetryAfterSeconds = note.RetryAfterSeconds;
        last.DryRun = note.DryRun;
    }

    private static int Copy(ReadOnlySpan<byte> from, byte[] to)
    {
        int length = Math.Min(from.Length, to.Length);
        from[..length].CopyTo(to);
        return length;
    }

    private static string Text(byte[] bytes, int length) => System.Text.Encoding.UTF8.GetString(bytes, 0, length);
}

/// <summary>A request that a limit rejected.</summary>
public sealed record Rejection
{
    /// <summary>When the request was rejected (UTC).</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>The client that the request counted for.</summary>
    public required string Client { get; init; }

    /// <summary>The entry of <c>clients.identify</c> that identified the client.</summary>
    public required string IdentifiedBy { get; init; }

    /// <summary>The limit that rejected the request; <c>unknown_client</c> or <c>client_blocked</c> if none was
    /// asked.</summary>
    public required string Limit { get; init; }

    /// <summary>How often the limit has rejected this client since its last entry in the list, this time included. A
    /// client gets at most one entry a second.</summary>
    public required long Times { get; init; }

    /// <summary>Whole tokens that were left.</summary>
    public required long Tokens { get; init; }

    /// <summary>Tokens that the request would have taken.</summary>
    public required int Cost { get; init; }

    /// <summary>The Retry-After value in seconds; 0: waiting would not help.</summary>
    public required long RetryAfter { get; init; }

    /// <summary>The request was admitted, because the limit is in dry run.</summary>
    public required bool DryRun { get; init; }

    /// <summary>The route's name.</summary>
    public required string Route { get; init; }

    /// <summary>The request's X-Request-Id.</summary>
    public required string RequestId { get; init; }
}

/// <summary>How often a limit has rejected a client since start.</summary>
/// <param name="Client">The client's name.</param>
/// <param name="IdentifiedBy">The entry of <c>clients.identify</c> that identified the client.</param>
/// <param name="Limit">The limit, as in <see cref="Rejection"/>.</param>
/// <param name="Rejected">The number of rejected requests; the true number is between this minus
/// <paramref name="Error"/> and this.</param>
/// <param name="Error">By how much <paramref name="Rejected"/> may be too high, because other clients used the counter
/// before.</param>
/// <param name="Last">When the client was last rejected (UTC).</param>
public sealed record LimitedClient(string Client, string IdentifiedBy, string Limit, long Rejected, long Error,
    DateTimeOffset Last);
