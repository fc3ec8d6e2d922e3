using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>A named group of equal servers with its balancer, live: it outlives a reload of the configuration, and its
/// backends come and go with it and with DNS. Thread-safe.</summary>
internal sealed class Upstream
{
    /// <summary>Retries that a good time saves for a bad one; more when more is in flight. A backend that dies takes
    /// all that was in flight at it along at once.</summary>
    private const int MaxSaved = 100;

    private static readonly List<Backend> NoneTried = [];

    private readonly MonotonicClock _clock;
    private readonly int _loops;
    private readonly Lock _changing = new();
    private readonly Dictionary<string, IPAddress[]> _resolved = new(StringComparer.OrdinalIgnoreCase);
    private readonly PickRandom _queueRandom = new((ulong)Random.Shared.NextInt64());
    private volatile Members _members;
    private int _inFlightLately;
    private long _retried;
    private long _retriesRejected;

    /// <param name="loops">How many event loops there are.</param>
    public Upstream(UpstreamConfig config, MonotonicClock clock, int loops = 1)
    {
        (_clock, _loops) = (clock, loops);
        Name = config.Name;
        NameBytes = Encoding.UTF8.GetBytes(config.Name);
        Queue = new SlotQueue(PickForQueue);
        _members = new Members(config, []);
        Rebuild(config, joins: false);
    }

    public string Name { get; }
    public byte[] NameBytes { get; }
    public UpstreamConfig Config => _members.Config;
    public IReadOnlyList<Backend> Backends => _members.All;
    public SlotQueue Queue { get; }
    public RetryBudget Budget { get; } = new(MaxSaved);

    /// <summary>Requests sent again since start, at the budget's expense.</summary>
    public long Retried => Volatile.Read(ref _retried);

    /// <summary>Requests since start that the budget did not let be sent again.</summary>
    public long RetriesRejected => Volatile.Read(ref _retriesRejected);

    /// <summary>Told after backends came or went, with those that went. Called with no lock held.</summary>
    public Action<IReadOnlyList<Backend>>? MembersChanged { get; set; }

    /// <summary>Exchanges under way at all backends.</summary>
    public int InFlight
    {
        get
        {
            int sum = 0;
            foreach (Backend backend in _members.All)
            {
                sum += backend.InFlight;
            }
            return sum;
        }
    }

    /// <summary>The backend for the next try: the session's, else the balancer's choice; a backup only when no other
    /// can take the request. The caller owes a <see cref="Release"/>.</summary>
    /// <returns>Null when no backend can take the request now.</returns>
    public Backend? Pick(in PickRequest request)
    {
        Members members = _members;
        if (request.StickyBackend is { } session && session.IsUsableForSession && !request.Tried.Contains(session)
            && session.TryEnter())
        {
            if (session.State == BackendState.Drain)
            {
                session.MarkUsed(request.NowNs);
            }
            return session;
        }
        while ((members.Primaries.Pick(request) ?? members.Backups?.Pick(request)) is { } backend)
        {
            if (backend.TryEnter())
            {
                return backend;
            }

            // Another loop took its last place in between; it is full, so the next round will not see it.
        }
        return null;
    }

    /// <summary>What <see cref="Pick"/> would return now, changing nothing.</summary>
    public Backend? Peek(in PickRequest request)
    {
        Members members = _members;
        if (request.StickyBackend is { IsUsableForSession: true, HasRoom: true } sticky
            && !request.Tried.Contains(sticky))
        {
            return sticky;
        }
        ulong state = request.Random.State;
        Backend? backend = members.Primaries.Pick(request) ?? members.Backups?.Pick(request);
        request.Random.State = state;
        return backend;
    }

    /// <summary>May one more request be sent again, at the budget's expense?</summary>
    public bool TryRetry()
    {
        bool may = Budget.TryWithdraw(Config.Retries.MinPerSecond, _clock.NowNs);
        Interlocked.Increment(ref may ? ref _retried : ref _retriesRejected);
        return may;
    }

    /// <summary>An exchange at a backend is over; who waits for its place gets it.</summary>
    public void Release(Backend backend)
    {
        backend.Leave();
        if (Queue.Count > 0)
        {
            Queue.Serve();
        }
    }

    /// <summary>Would a backend take the request if it were not full?</summary>
    public bool IsFull()
    {
        foreach (Backend backend in _members.All)
        {
            if (backend is { IsUsable: true, HasRoom: false })
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>What <see cref="HashConfig.Name"/> and <see cref="StickyConfig.Cookie"/> are in bytes.</summary>
    public ReadOnlySpan<byte> HashName => _members.HashName;
    public ReadOnlySpan<byte> CookieName => _members.CookieName;

    /// <summary>The session that a cookie's value stands for; null when it is none of ours, or its backend is
    /// gone.</summary>
    public Backend? FindStickyBackend(ReadOnlySpan<byte> cookie)
    {
        foreach (SessionCookie known in _members.Cookies)
        {
            if (cookie.SequenceEqual(known.Value))
            {
                return known.Backend;
            }
        }
        return null;
    }

    /// <summary>The Set-Cookie field that binds a client to a backend; empty without sticky sessions.</summary>
    public ReadOnlySpan<byte> SetCookie(Backend backend)
    {
        foreach (SessionCookie known in _members.Cookies)
        {
            if (known.Backend == backend)
            {
                return known.Field;
            }
        }
        return default;
    }

    /// <summary>Takes over a changed configuration of the same name. Backends that stay keep what is known of
    /// them.</summary>
    public void Apply(UpstreamConfig config) => ReplaceConfig(config, joins: true);

    /// <summary>A name resolves to these addresses from now on; each is a backend.</summary>
    /// <param name="joins">New backends start slowly; not at the start of the process, where all are new.</param>
    public void Resolve(string host, IPAddress[] addresses, bool joins)
    {
        lock (_changing)
        {
            _resolved[host] = addresses;
        }
        ReplaceConfig(_members.Config, joins);
    }

    /// <summary>A name was looked up again: what its backends listen on may have changed, too.</summary>
    public void ForgetPreferences(string host)
    {
        foreach (Backend backend in _members.All)
        {
            if (backend.Name is { } name && name.StartsWith(host, StringComparison.OrdinalIgnoreCase))
            {
                backend.ForgetPreference();
            }
        }
    }

    public bool IsResolved(string host)
    {
        lock (_changing)
        {
            return _resolved.ContainsKey(host);
        }
    }

    /// <summary>A name that was never known does not resolve: tells so in its backend's health.</summary>
    public void NotResolved(string host)
    {
        foreach (Backend backend in _members.All)
        {
            if (backend.EndPoint is null
                && string.Equals(backend.Config.Host, host, StringComparison.OrdinalIgnoreCase))
            {
                backend.Health = backend.Health with { Cause = "name does not resolve" };
            }
        }
    }

    /// <summary>Chooses another weight for a backend than the configured one; 0 goes back to it.</summary>
    public void Choose(Backend backend, int weight)
    {
        backend.Choose(weight);
        ReplaceConfig(_members.Config, joins: true); // a hash table depends on weights
    }

    /// <summary>Slow start goes on, and who waits is looked after. Called by one thread, some times a second.</summary>
    public void Tick(long nowNs)
    {
        foreach (Backend backend in _members.All)
        {
            backend.Advance(nowNs);
        }
        _inFlightLately = Math.Max(InFlight, (_inFlightLately * 15 / 16) - 1);
        Budget.Bound(Math.Max(MaxSaved, _inFlightLately));
        if (Queue.Count > 0)
        {
            Queue.Serve();
        }
    }

    private Backend? PickForQueue(SlotWaiter waiter) => Pick(new PickRequest
    {
        Tried = NoneTried,
        Random = _queueRandom,
        NowNs = _clock.NowNs,
        AffinityHash = waiter.AffinityHash,
    });

    private void ReplaceConfig(UpstreamConfig config, bool joins)
    {
        IReadOnlyList<Backend> gone;
        lock (_changing)
        {
            Backend[] before = _members.All;
            Rebuild(config, joins);
            gone = [.. before.Except(_members.All)];
        }
        foreach (Backend backend in gone)
        {
            backend.Retire();
        }
        MembersChanged?.Invoke(gone);
        Queue.Serve();
    }

    private void Rebuild(UpstreamConfig config, bool joins)
    {
        Dictionary<string, Backend> known = _members.All.ToDictionary(static b => b.Address, StringComparer.Ordinal);
        var all = new List<Backend>();
        foreach ((BackendConfig expanded, string? name, IPAddress? other) in config.Backends.SelectMany(Expand))
        {
            if (all.Exists(b => string.Equals(b.Address, expanded.Address, StringComparison.Ordinal)))
            {
                continue; // two names of one server
            }
            bool stays = known.TryGetValue(expanded.Address, out Backend? backend);
            backend ??= new Backend(Name, expanded, _loops, name);
            backend.SlowStart = config.SlowStart;
            backend.Apply(expanded);
            backend.Alternate = other is null ? null : new BackendAddress(new IPEndPoint(other, expanded.Port));
            if (!stays && joins)
            {
                backend.BeginRamp();
            }
            all.Add(backend);
        }
        _members = new Members(config, [.. all], _members);
    }

    /// <summary>Each address of a name is a backend. Of a name with both families the IPv4 addresses are, or one server
    /// would count twice; the IPv6 addresses, in order, are where else they can be reached.</summary>
    private IEnumerable<(BackendConfig Config, string? Name, IPAddress? Other)> Expand(BackendConfig backend)
    {
        if (!backend.IsName || !_resolved.TryGetValue(backend.Host, out IPAddress[]? addresses))
        {
            return [(backend, null, null)];
        }
        IPAddress[] old = [.. addresses.Where(static a => a.AddressFamily == AddressFamily.InterNetwork)];
        IPAddress[] other = old.Length == 0 ? [] : [.. addresses.Except(old)];
        return (old.Length == 0 ? addresses : old).Select((a, i) => (backend with { Host = a.ToString() },
            (string?)backend.Address, other.Length == 0 ? null : other[i % other.Length]));
    }

    /// <summary>The backends at one time, and what is made of them. Immutable.</summary>
    private sealed class Members
    {
        public Members(UpstreamConfig config, Backend[] all, Members? before = null)
        {
            (Config, All) = (config, all);
            Primaries = Balancer.Create(config, [.. all.Where(static b => !b.Config.Backup)], before?.Primaries);
            Backend[] backups = [.. all.Where(static b => b.Config.Backup)];
            Backups = backups.Length == 0 ? null : Balancer.Create(config, backups, before?.Backups);
            Cookies = config.Sticky is { } sticky ? [.. all.Select(b => new SessionCookie(sticky, b))] : [];
            HashName = Encoding.UTF8.GetBytes(config.Hash.Name);
            CookieName = Encoding.UTF8.GetBytes(config.Sticky?.CookieOf(config.Name) ?? "");
        }

        public UpstreamConfig Config { get; }
        public Backend[] All { get; }
        public Balancer Primaries { get; }
        public Balancer? Backups { get; }
        public SessionCookie[] Cookies { get; }
        public byte[] HashName { get; }
        public byte[] CookieName { get; }
    }
}
