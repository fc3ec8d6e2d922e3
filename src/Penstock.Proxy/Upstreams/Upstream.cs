using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Upstreams;

/// <summary>A live, named group of equal servers with its balancer. It survives reloads; its backends change with the
/// configuration and with DNS. Thread-safe.</summary>
internal sealed partial class Upstream
{
    /// <summary>How many retries the budget holds; more when more requests are in flight, because a backend that dies
    /// fails all requests in flight at it at once.</summary>
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

    /// <param name="loops">The number of event loops.</param>
    public Upstream(UpstreamConfig config, MonotonicClock clock, int loops = 1)
    {
        (_clock, _loops) = (clock, loops);
        Name = config.Name;
        NameBytes = Encoding.UTF8.GetBytes(config.Name);
        Queue = new SlotQueue(PickForQueue);
        ResponseTimes = [.. Enumerable.Range(0, loops)
            .Select(static _ => new DurationHistogram(DurationHistogram.UsualBounds))];
        _members = new Members(config, []);
        Rebuild(config, joins: false);
    }

    public string Name { get; }
    public byte[] NameBytes { get; }

    /// <summary>The configuration, with the backends that were added at run time.</summary>
    public UpstreamConfig Config => _members.Config;

    public IReadOnlyList<Backend> Backends => _members.All;
    public SlotQueue Queue { get; }
    public RetryBudget Budget { get; } = new(MaxSaved);

    /// <summary>Times from the sending of a request to the head of its response, by loop.</summary>
    public DurationHistogram[] ResponseTimes { get; }

    /// <summary>Retries paid from the budget since start.</summary>
    public long Retried => Volatile.Read(ref _retried);

    /// <summary>Requests since start that were not retried because the budget was empty.</summary>
    public long RetriesRejected => Volatile.Read(ref _retriesRejected);

    /// <summary>Called after backends were added or removed, with the removed ones. No lock is held.</summary>
    public Action<IReadOnlyList<Backend>>? MembersChanged { get; set; }

    /// <summary>Exchanges in flight at all backends.</summary>
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

    /// <summary>Picks the backend for the next attempt: the session's, else the balancer's choice; a backup only when
    /// no other backend can take the request. The backend has counted the request in; the caller must call
    /// <see cref="Release"/>.</summary>
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

            // Another loop took the last slot in between. The backend is full now, so the next round does not pick it.
        }
        return null;
    }

    /// <summary>What <see cref="Pick"/> would return now. Changes nothing.</summary>
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

    /// <summary>Pays for one retry from the budget; false when it is empty.</summary>
    public bool TryRetry()
    {
        bool may = Budget.TryWithdraw(Config.Retries.MinPerSecond, _clock.NowNs);
        Interlocked.Increment(ref may ? ref _retried : ref _retriesRejected);
        return may;
    }

    /// <summary>Ends an exchange at a backend. A waiting request gets the slot.</summary>
    public void Release(Backend backend)
    {
        backend.Leave();
        if (Queue.Count > 0)
        {
            Queue.Serve();
        }
    }

    /// <summary>Whether some usable backend is at its <c>max_connections</c>.</summary>
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

    /// <summary><see cref="HashConfig.Name"/> and <see cref="StickyConfig.Cookie"/> as bytes.</summary>
    public ReadOnlySpan<byte> HashName => _members.HashName;
    public ReadOnlySpan<byte> CookieName => _members.CookieName;

    /// <summary>The backend whose session cookie has this value; null when there is none.</summary>
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

    /// <summary>The Set-Cookie field line that keeps a client at a backend; empty without sticky sessions.</summary>
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

    /// <summary>Takes over the addresses that a name resolves to from now on. Each is a backend.</summary>
    /// <param name="joins">New backends start slowly. False at the start of the process, when all are new.</param>
    public void Resolve(string host, IPAddress[] addresses, bool joins)
    {
        lock (_changing)
        {
            _resolved[host] = addresses;
        }
        ReplaceConfig(static config => config, joins);
    }

    /// <summary>Forgets which of two addresses its backends accepted connections on. Called at each look-up, because
    /// that may have changed.</summary>
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

    /// <summary>Sets the health's cause of a backend whose name has never resolved.</summary>
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

    /// <summary>Sets the weight of a backend that is used instead of the configured one; 0: use the configured
    /// one.</summary>
    public void Choose(Backend backend, int weight)
    {
        backend.Choose(weight);
        ReplaceConfig(static config => config, joins: true); // a hash table depends on weights
    }

    /// <summary>Updates slow start, the bound of the retry budget and the queue. Called by one thread, some times a
    /// second.</summary>
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

    /// <param name="change">Gets the configuration in force. Under the lock, so that no other change is lost.</param>
    private void ReplaceConfig(Func<UpstreamConfig, UpstreamConfig> change, bool joins)
    {
        IReadOnlyList<Backend> gone;
        lock (_changing)
        {
            Backend[] before = _members.All;
            Rebuild(change(_members.Config), joins);
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
        TlsClient? tls = _members.All.FirstOrDefault(static b => b.Tls is not null)?.Tls;
        tls = tls?.Config == config.Tls ? tls : null;
        foreach ((BackendConfig expanded, string? name, IPAddress? other) in config.Backends.SelectMany(Expand))
        {
            if (all.Exists(b => string.Equals(b.Address, expanded.Address, StringComparison.Ordinal)))
            {
                continue; // two names resolve to one server
            }
            bool stays = known.TryGetValue(expanded.Address, out Backend? backend);
            backend ??= new Backend(Name, expanded, _loops, name);
            backend.SlowStart = config.SlowStart;
            backend.Apply(expanded);
            backend.Tls = expanded.IsTls ? tls ??= new TlsClient(config.Tls) : null;
            backend.Alternate = other is null ? null : new BackendAddress(new IPEndPoint(other, expanded.Port));
            if (!stays && joins)
            {
                backend.BeginRamp();
            }
            all.Add(backend);
        }
        _members = new Members(config, [.. all], _members);
    }

    /// <summary>Each address of a name is a backend. If a name has addresses of both families, only the IPv4 addresses
    /// are backends, or one server would count twice; the IPv6 addresses, in order, become their alternates.</summary>
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

    /// <summary>The configuration, its backends, and what is derived from both. Immutable.</summary>
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
