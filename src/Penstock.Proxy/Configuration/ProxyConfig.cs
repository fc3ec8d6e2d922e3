using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>The operator's configuration of the data plane. The loader validates it; the proxy compiles it into a
/// snapshot. Every duration is a <see cref="TimeSpan"/>, every size is in bytes. Immutable, thread-safe.</summary>
public sealed record ProxyConfig
{
    /// <summary>Where clients connect; at least one listener. A reload opens and closes listeners; open connections
    /// stay.</summary>
    /// <value>Key <c>listen</c>: address; or a mapping; or a list; default: 0.0.0.0:8080.</value>
    public required IReadOnlyList<ListenerConfig> Listeners { get; init; }

    /// <summary>The port with TLS to which this listener sends its clients; 0: none.</summary>
    public int RedirectPortOf(ListenerConfig listener)
    {
        int from = listener is { Tls: null, Address: IPEndPoint plain } ? plain.Port : 0;
        return from > 0 && Listeners.FirstOrDefault(other => other.Tls?.RedirectFrom == from)?.Address is IPEndPoint to
            ? to.Port : 0;
    }

    /// <summary>The groups of servers. Their names are unique.</summary>
    /// <value>Key <c>upstreams</c>: <c>NAME: { … }</c> or <c>NAME: [BACKEND, …]</c>; required, unless <c>backends</c>
    /// is given.</value>
    public required IReadOnlyList<UpstreamConfig> Upstreams { get; init; }

    /// <summary>Which requests go to which upstream. The most specific route wins, whatever the order: exact host,
    /// wildcard host, any host; then exact path, longest prefix; then the narrower conditions.</summary>
    /// <value>Key <c>routes</c>: list of mappings; default: all requests go to the only upstream.</value>
    public required IReadOnlyList<RouteConfig> Routes { get; init; }

    /// <summary>How the client of a request is identified.</summary>
    /// <value>Key <c>clients</c>: a mapping; default: by address.</value>
    public ClientsConfig Clients { get; init; } = new();

    /// <summary>Limits by name. The one named <c>default</c> applies to routes that name no limit; without it, only
    /// registered clients are limited.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Limits { get; init; } = new Dictionary<string, LimitConfig>();

    /// <summary>Names of limits that apply to every request, in addition to those of its route and upstream.</summary>
    /// <value>Key <c>limit</c>: name of a limit, a list of them, or <c>off</c>; default: none.</value>
    public ValueList<string> EveryLimit { get; init; } = [];

    /// <summary>Which header fields of responses show clients the state of their limits.</summary>
    /// <value>Key <c>limit_fields</c>: <c>standard</c>, <c>legacy</c>, <c>both</c> or <c>off</c>; default:
    /// standard.</value>
    public LimitFields LimitFields { get; init; }

    /// <summary>Fields and bodies of Penstock's own answers. Statuses without an entry have a JSON body.</summary>
    /// <value>Key <c>errors</c>: <c>STATUS: { … }</c>; default: JSON bodies.</value>
    public IReadOnlyList<AnswerConfig> Answers { get; init; } = [];

    /// <summary>All timeouts.</summary>
    /// <value>Key <c>timeouts</c>: a mapping; default: see there.</value>
    public TimeoutsConfig Timeouts { get; init; } = new();

    /// <summary>Bounds of what clients may send or hold.</summary>
    /// <value>Key <c>bounds</c>: a mapping; default: see there.</value>
    public BoundsConfig Bounds { get; init; } = new();

    /// <summary>Number of event loops, each with one thread; 0: one per processor. Read at start only.</summary>
    /// <value>Key <c>loops</c>: <c>auto</c>, or 1 to 1024; default: auto.</value>
    public int Loops { get; init; }

    /// <summary>The number of event loops that <see cref="Loops"/> asks for.</summary>
    internal int LoopCount => Loops > 0 ? Loops : Environment.ProcessorCount;

    /// <summary>The access log: its target, its format, and which requests get a line.</summary>
    /// <value>Key <c>access_log</c>: <c>stdout</c>, <c>off</c>, the path of a file, which has a <c>/</c>,
    /// <c>syslog:unix:/dev/log</c> or <c>syslog:udp://HOST:514</c>; or a mapping; default: stdout.</value>
    public AccessLogConfig AccessLog { get; init; } = new();
}

/// <summary>A listener: an address where clients connect.</summary>
/// <param name="Address">An <see cref="IPEndPoint"/> or a Unix domain socket.</param>
/// <param name="Text">The address as it is in the configuration file, for messages and metrics.</param>
/// <param name="ProxyProtocol">Every connection starts with a PROXY protocol header that says who the client is; only
/// peers of <see cref="ClientsConfig.TrustedProxies"/> may connect.</param>
/// <param name="Mode">The mode of a Unix domain socket's file, which determines who may connect; null: by the
/// umask.</param>
/// <param name="Tls">TLS on this listener; null: clients speak plain HTTP.</param>
public sealed record ListenerConfig(EndPoint Address, string Text, bool ProxyProtocol = false,
    UnixFileMode? Mode = null, ListenerTlsConfig? Tls = null)
{
    /// <summary>Whether the other listener has the same socket; it may have other settings.</summary>
    public bool HasSocketOf(ListenerConfig other) => Text == other.Text && Address.Equals(other.Address);
}

/// <summary>All timeouts. They are longer than zero unless stated otherwise.</summary>
public sealed record TimeoutsConfig
{
    /// <summary>How long opening a connection to a backend may take. Then another backend is tried, or the request
    /// fails.</summary>
    /// <value>Key <c>timeouts.connect</c>: duration; default: 2s.</value>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a client may take for the handshake of TLS. Then the connection is closed.</summary>
    /// <value>Key <c>timeouts.handshake</c>: duration; default: 10s.</value>
    public TimeSpan Handshake { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a whole request head may take, from its first byte. Then the answer is 408 (this stops
    /// slowloris attacks).</summary>
    /// <value>Key <c>timeouts.head</c>: duration; default: 10s.</value>
    public TimeSpan Head { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest time without progress while a request or response is in flight. Then the request fails with
    /// 504, or the connection is closed.</summary>
    /// <value>Key <c>timeouts.response</c>: duration; default: 60s.</value>
    public TimeSpan Response { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a client connection may stay idle. Then it is closed.</summary>
    /// <value>Key <c>timeouts.idle</c>: duration; default: 90s.</value>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a backend connection may stay idle in the pool; zero: it is closed after each request. The
    /// default is below that of common servers (5 s: Node.js, Apache, uvicorn), so that Penstock closes first: a POST
    /// on a connection that the backend is just closing must not be sent again.</summary>
    /// <value>Key <c>timeouts.backend_idle</c>: <c>off</c>, or duration; default: 4s.</value>
    public TimeSpan BackendIdle { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>The longest time without a byte in either direction after an upgrade such as WebSocket (HAProxy's usual
    /// <c>timeout tunnel</c>). Then the connection is closed.</summary>
    /// <value>Key <c>timeouts.tunnel</c>: duration; default: 1h.</value>
    public TimeSpan Tunnel { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long a request waits for tokens that several nodes share, while this node does not know that there
    /// are none. Then it is rejected. Zero: it is rejected at once.</summary>
    /// <value>Key <c>timeouts.tokens</c>: <c>off</c>, or duration; default: 100ms.</value>
    public TimeSpan Tokens { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Time from the beginning of a stop, when readiness ends, until listeners close, so that load balancers
    /// in front can notice. Zero: they close at once.</summary>
    /// <value>Key <c>timeouts.drain_delay</c>: <c>off</c>, <c>0s</c>, or duration; default: off.</value>
    public TimeSpan DrainDelay { get; init; }

    /// <summary>How long exchanges in flight may continue in a graceful stop, after listeners close. Then their
    /// connections are closed.</summary>
    /// <value>Key <c>timeouts.shutdown</c>: duration; default: 30s.</value>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Bounds of what clients may send or hold. Where 0 is allowed, it means no bound.</summary>
public sealed record BoundsConfig
{
    /// <summary>Maximum length of a request line; a longer one is answered with 414. 8 KiB is the default of nginx and
    /// Kestrel.</summary>
    /// <value>Key <c>bounds.request_line</c>: size, 64 bytes to 64KiB; default: 8KiB.</value>
    public int RequestLineBytes { get; init; } = 8 * 1024;

    /// <summary>Maximum size of a head, up to 64 KiB. A larger one is answered with 431; from a backend, with 502. 32
    /// KiB is Kestrel's default.</summary>
    /// <value>Key <c>bounds.head</c>: size, 256 bytes to 64KiB; default: 32KiB.</value>
    public int HeadBytes { get; init; } = 32 * 1024;

    /// <summary>Maximum number of fields of a head, up to 1000. More are answered with 431; from a backend, with 502.
    /// 100 is the default of Envoy and Kestrel.</summary>
    /// <value>Key <c>bounds.head_fields</c>: 1 to 1,000; default: 100.</value>
    public int HeadFields { get; init; } = 100;

    /// <summary>Maximum size of a request's body; a larger one is answered with 413. 0: no bound, as in HAProxy and
    /// Envoy, because bodies stream in constant memory.</summary>
    /// <value>Key <c>bounds.body</c>: <c>off</c>, or size; default: off.</value>
    public long BodyBytes { get; init; }

    /// <summary>The minimum average rate of a request's body in bytes per second, over the time that Penstock waits for
    /// it, after a grace of 5 seconds. A slower one is answered with 408. 240 is Kestrel's MinRequestBodyDataRate. 0:
    /// no minimum.</summary>
    /// <value>Key <c>bounds.body_min_rate</c>: <c>off</c>, or size; default: 240.</value>
    public int BodyMinBytesPerSecond { get; init; } = 240;

    /// <summary>Maximum number of requests on one client connection, which closes after the last. 0: no
    /// bound.</summary>
    /// <value>Key <c>bounds.requests_per_connection</c>: <c>off</c>, or 1 to 2,147,483,647; default: off.</value>
    public int RequestsPerConnection { get; init; }

    /// <summary>Maximum number of client connections at the same time; at the bound, accepting pauses. 0, and the
    /// maximum in any case: as many as can each have a backend connection under the limit of file descriptors (as in
    /// HAProxy).</summary>
    /// <value>Key <c>bounds.connections</c>: <c>auto</c>, or 1 to 10,000,000; default: auto.</value>
    public int Connections { get; init; }

    /// <summary>A client that ends its stream after a request still gets the response. False: it counts as having left,
    /// because closing looks the same (nginx; HAProxy's <c>abortonclose</c>).</summary>
    /// <value>Key <c>bounds.half_close</c>: <c>abort</c> or <c>allow</c>; default: abort.</value>
    public bool AllowsHalfClose { get; init; }

    /// <summary>Maximum number of client connections of one address, or IPv6 network, at the same time; further ones
    /// are reset. 0: no bound.</summary>
    /// <value>Key <c>bounds.connections_per_address</c>: <c>off</c>, or 1 to 10,000,000; default: off.</value>
    public int ConnectionsPerAddress { get; init; }
}
