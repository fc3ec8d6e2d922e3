using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>What the operator asked of the data plane. Immutable; validated by the loader, compiled into
/// a snapshot. Every duration is a <see cref="TimeSpan"/>, every size is in bytes.</summary>
public sealed record ProxyConfig
{
    /// <summary>Where clients connect; at least one place. A reload opens and closes listeners; connections that are
    /// open go on.</summary>
    /// <value>Key <c>listen</c>: address; or a mapping; or a list; default: 0.0.0.0:8080.</value>
    public required IReadOnlyList<ListenerConfig> Listeners { get; init; }

    /// <summary>The groups of servers, each under a name of its own.</summary>
    /// <value>Key <c>upstreams</c>: <c>NAME: { … }</c>; required, unless <c>backends</c> is given.</value>
    public required IReadOnlyList<UpstreamConfig> Upstreams { get; init; }

    /// <summary>Tried by specificity, not by order: exact host, wildcard host, any host; then exact path,
    /// longest prefix; then method.</summary>
    /// <value>Key <c>routes</c>: list of mappings; default: all requests go to the only upstream.</value>
    public required IReadOnlyList<RouteConfig> Routes { get; init; }

    /// <summary>Who a request is counted for.</summary>
    /// <value>Key <c>clients</c>: a mapping; default: by address.</value>
    public ClientsConfig Clients { get; init; } = new();

    /// <summary>Limits by name. The one named <c>default</c> holds for routes that name none; without it, only
    /// registered clients are limited.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Limits { get; init; } = new Dictionary<string, LimitConfig>();

    /// <summary>Names of limits that every request is under, besides its route's and its upstream's.</summary>
    /// <value>Key <c>limit</c>: name of a limit, a list of them, or <c>off</c>; default: none.</value>
    public ValueList<string> EveryLimit { get; init; } = [];

    /// <summary>Which header fields of responses tell clients how they stand.</summary>
    /// <value>Key <c>limit_fields</c>: <c>standard</c>, <c>legacy</c>, <c>both</c> or <c>off</c>; default:
    /// standard.</value>
    public LimitFields LimitFields { get; init; }

    /// <summary>Fields and bodies of our own answers; statuses without an entry have a JSON body.</summary>
    /// <value>Key <c>errors</c>: <c>STATUS: { … }</c>; default: JSON bodies.</value>
    public IReadOnlyList<AnswerConfig> Answers { get; init; } = [];

    /// <summary>How long to wait for what.</summary>
    /// <value>Key <c>timeouts</c>: a mapping; default: see there.</value>
    public TimeoutsConfig Timeouts { get; init; } = new();

    /// <summary>How much of what a client may send or hold.</summary>
    /// <value>Key <c>bounds</c>: a mapping; default: see there.</value>
    public BoundsConfig Bounds { get; init; } = new();

    /// <summary>Number of event loops, each one thread; 0: one for each processor. Read at start only.</summary>
    /// <value>Key <c>loops</c>: <c>auto</c>, or 1 to 1024; default: auto.</value>
    public int Loops { get; init; }

    /// <summary>Where the access log goes: <c>stdout</c>, <c>off</c>, or the path of a file. Read at start
    /// only.</summary>
    /// <value>Key <c>access_log</c>: <c>stdout</c>, <c>off</c>, or the path of a file, which has a <c>/</c>; default:
    /// stdout.</value>
    public string AccessLog { get; init; } = "stdout";
}

/// <summary>A place where clients connect.</summary>
/// <param name="Address">An <see cref="IPEndPoint"/> or a Unix domain socket.</param>
/// <param name="Text">As the operator wrote it, for messages and metrics.</param>
/// <param name="ProxyProtocol">Every connection starts with a PROXY protocol header that says who the client is; only
/// peers of <see cref="ClientsConfig.TrustedProxies"/> may connect.</param>
/// <param name="Mode">Who may connect to a Unix domain socket: the mode of its file; null: as the umask says.</param>
public sealed record ListenerConfig(
    EndPoint Address, string Text, bool ProxyProtocol = false, UnixFileMode? Mode = null);

/// <summary>How long to wait for what. None is zero but where that is said.</summary>
public sealed record TimeoutsConfig
{
    /// <summary>For a TCP connection to a backend; then another backend is tried, or the request fails.</summary>
    /// <value>Key <c>timeouts.connect</c>: duration; default: 2s.</value>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>For a whole request head, from its first byte; then the answer is 408 (this bounds
    /// slowloris).</summary>
    /// <value>Key <c>timeouts.head</c>: duration; default: 10s.</value>
    public TimeSpan Head { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two bytes of progress while a request or response is under way; then the request fails: 504, or
    /// the connection is closed.</summary>
    /// <value>Key <c>timeouts.response</c>: duration; default: 60s.</value>
    public TimeSpan Response { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>For the next request on a client's connection that is kept open; then it is closed.</summary>
    /// <value>Key <c>timeouts.idle</c>: duration; default: 90s.</value>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a connection to a backend is kept for its next request; zero: it is closed after each. Below
    /// what common servers wait (5 s: Node.js, Apache, uvicorn), so that Penstock closes it first: a request on a
    /// connection that its backend is just closing may not be repeated when it is a POST.</summary>
    /// <value>Key <c>timeouts.backend_idle</c>: <c>off</c>, or duration; default: 4s.</value>
    public TimeSpan BackendIdle { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>For the next byte, either way, after an upgrade such as WebSocket (HAProxy's usual
    /// <c>timeout tunnel</c>).</summary>
    /// <value>Key <c>timeouts.tunnel</c>: duration; default: 1h.</value>
    public TimeSpan Tunnel { get; init; } = TimeSpan.FromHours(1);

    /// <summary>For tokens of a client that several nodes share, while this node does not know that there are none;
    /// then the request is rejected. Zero: it is rejected at once.</summary>
    /// <value>Key <c>timeouts.tokens</c>: <c>off</c>, or duration; default: 100ms.</value>
    public TimeSpan Tokens { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>From the word to stop, when readiness ends, until listeners close: whoever sends traffic here must
    /// notice first. Zero: they close at once.</summary>
    /// <value>Key <c>timeouts.drain_delay</c>: <c>off</c>, <c>0s</c>, or duration; default: off.</value>
    public TimeSpan DrainDelay { get; init; }

    /// <summary>For exchanges in flight at a graceful stop, from when listeners close; then they are cut.</summary>
    /// <value>Key <c>timeouts.shutdown</c>: duration; default: 30s.</value>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>How much of what a client may send or hold. 0 means unbounded where it is allowed.</summary>
public sealed record BoundsConfig
{
    /// <summary>Bytes of a request line; more is a 414. 8 KiB: nginx and Kestrel.</summary>
    /// <value>Key <c>bounds.request_line</c>: size, 64 bytes to 64KiB; default: 8KiB.</value>
    public int RequestLineBytes { get; init; } = 8 * 1024;

    /// <summary>Bytes of a head, at most 64 KiB; more is a 431, from a backend a 502. 32 KiB: Kestrel.</summary>
    /// <value>Key <c>bounds.head</c>: size, 256 bytes to 64KiB; default: 32KiB.</value>
    public int HeadBytes { get; init; } = 32 * 1024;

    /// <summary>Fields of a head, at most 1000; more is a 431, or a 502. 100: Envoy and Kestrel.</summary>
    /// <value>Key <c>bounds.head_fields</c>: 1 to 1,000; default: 100.</value>
    public int HeadFields { get; init; } = 100;

    /// <summary>Bytes of a request's body; more is a 413. 0, no bound: bodies stream in constant memory (HAProxy,
    /// Envoy).</summary>
    /// <value>Key <c>bounds.body</c>: <c>off</c>, or size; default: off.</value>
    public long BodyBytes { get; init; }

    /// <summary>Bytes per second that a body must bring on average, counted while Penstock waits for it, after a grace
    /// of 5 seconds; slower is a 408. 240: Kestrel's MinRequestBodyDataRate. 0 is off.</summary>
    /// <value>Key <c>bounds.body_min_rate</c>: <c>off</c>, or size; default: 240.</value>
    public int BodyMinBytesPerSecond { get; init; } = 240;

    /// <summary>Requests on one client connection; it closes after the last. 0 is unbounded.</summary>
    /// <value>Key <c>bounds.requests_per_connection</c>: <c>off</c>, or 1 to 2,147,483,647; default: off.</value>
    public int RequestsPerConnection { get; init; }

    /// <summary>Client connections at once; beyond that accepting pauses. 0, and never more than: as many as can each
    /// have a connection to a backend by the limit of descriptors (HAProxy).</summary>
    /// <value>Key <c>bounds.connections</c>: <c>auto</c>, or 1 to 10,000,000; default: auto.</value>
    public int Connections { get; init; }

    /// <summary>A client that ends its stream after a request still gets its response. If not, it has left: that is
    /// what closing looks like (nginx; HAProxy's <c>abortonclose</c>).</summary>
    /// <value>Key <c>bounds.half_close</c>: <c>abort</c> or <c>allow</c>; default: abort.</value>
    public bool AllowsHalfClose { get; init; }

    /// <summary>Client connections of one address, or IPv6 network, at once; further ones are reset. 0 is
    /// unbounded.</summary>
    /// <value>Key <c>bounds.connections_per_address</c>: <c>off</c>, or 1 to 10,000,000; default: off.</value>
    public int ConnectionsPerAddress { get; init; }
}
