using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>What the operator asked of the data plane. Immutable; validated by the loader, compiled into
/// a snapshot. Every duration is a <see cref="TimeSpan"/>, every size is in bytes.</summary>
public sealed record ProxyConfig
{
    public required IReadOnlyList<ListenerConfig> Listeners { get; init; }
    public required IReadOnlyList<UpstreamConfig> Upstreams { get; init; }

    /// <summary>Tried by specificity, not by order: exact host, wildcard host, any host; then exact path,
    /// longest prefix; then method.</summary>
    public required IReadOnlyList<RouteConfig> Routes { get; init; }
    public ClientsConfig Clients { get; init; } = new();

    /// <summary>Limits by name. The one named <c>default</c> holds for routes that name none; without it, only
    /// registered clients are limited.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Limits { get; init; } = new Dictionary<string, LimitConfig>();

    /// <summary>Names of limits that every request is under, besides its route's and its upstream's.</summary>
    public ValueList<string> EveryLimit { get; init; } = [];

    public LimitFields LimitFields { get; init; }

    /// <summary>Fields and bodies of our own answers; statuses without an entry have a JSON body.</summary>
    public IReadOnlyList<AnswerConfig> Answers { get; init; } = [];
    public TimeoutsConfig Timeouts { get; init; } = new();
    public BoundsConfig Bounds { get; init; } = new();

    /// <summary>Number of event loops (threads). 0 means one per processor.</summary>
    public int Loops { get; init; }

    /// <summary><c>stdout</c>, <c>off</c>, or a file path.</summary>
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

/// <summary>How long to wait for what.</summary>
public sealed record TimeoutsConfig
{
    /// <summary>For a TCP connection to a backend.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>For a whole request head, from its first byte (bounds slowloris).</summary>
    public TimeSpan Head { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two bytes of progress while a request or response is under way.</summary>
    public TimeSpan Response { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>For the next request on a kept-alive client connection.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a connection to a backend is kept for its next request; zero: it is closed after each. Below
    /// what common servers wait (5 s: Node.js, Apache, uvicorn), so that it is us who close it: a request on a
    /// connection that its backend is just closing may not be repeated when it is a POST.</summary>
    public TimeSpan BackendIdle { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>For the next octet, either way, after an upgrade such as WebSocket (HAProxy's usual
    /// <c>timeout tunnel</c>).</summary>
    public TimeSpan Tunnel { get; init; } = TimeSpan.FromHours(1);

    /// <summary>For tokens of a client that several nodes share, while nobody here knows that there are none; zero: not
    /// at all.</summary>
    public TimeSpan Tokens { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>From the word to stop, when readiness ends, until listeners close: whoever sends traffic here must
    /// notice first.</summary>
    public TimeSpan DrainDelay { get; init; }

    /// <summary>For exchanges in flight at a graceful stop, from when listeners close.</summary>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>How much of what a client may send or hold. 0 means unbounded where it is allowed.</summary>
public sealed record BoundsConfig
{
    /// <summary>Octets of a request line; more is a 414. 8 KiB: nginx and Kestrel.</summary>
    public int RequestLineBytes { get; init; } = 8 * 1024;

    /// <summary>Octets of a head, at most 64 KiB; more is a 431, from a backend a 502. 32 KiB: Kestrel.</summary>
    public int HeadBytes { get; init; } = 32 * 1024;

    /// <summary>Fields of a head, at most 1000; more is a 431, or a 502. 100: Envoy and Kestrel.</summary>
    public int HeadFields { get; init; } = 100;

    /// <summary>Octets of a request's body; more is a 413. Unbounded: bodies stream in constant memory (HAProxy,
    /// Envoy).</summary>
    public long BodyBytes { get; init; }

    /// <summary>Octets per second that a body must bring on average, counted while we wait for it, after a grace of 5
    /// seconds; slower is a 408. 240: Kestrel's MinRequestBodyDataRate. 0 is off.</summary>
    public int BodyMinBytesPerSecond { get; init; } = 240;

    /// <summary>Requests on one client connection; it closes after the last. 0 is unbounded.</summary>
    public int RequestsPerConnection { get; init; }

    /// <summary>Client connections at once; beyond that accepting pauses. 0, and never more than: as many as can each
    /// have a connection to a backend by the limit of descriptors (HAProxy).</summary>
    public int Connections { get; init; }

    /// <summary>A client that ends its stream after a request still gets its response. If not, it has left: that is
    /// what closing looks like (nginx; HAProxy's <c>abortonclose</c>).</summary>
    public bool AllowsHalfClose { get; init; }

    /// <summary>Client connections of one address, or IPv6 network, at once; further ones are reset. 0 is
    /// unbounded.</summary>
    public int ConnectionsPerAddress { get; init; }
}
