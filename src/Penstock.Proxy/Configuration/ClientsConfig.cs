using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>Who a request is counted for.</summary>
public sealed record ClientsConfig
{
    /// <summary>Tried in order, the first that names a known client counts. By default registered clients are
    /// recognised in the usual places, which gives strangers nothing: unknown identifiers count as their
    /// address.</summary>
    /// <value>Key <c>clients.identify</c>: <c>header:NAME</c>, <c>query:NAME</c> or <c>address</c>, or a list; default:
    /// ["header:X-API-Key","header:X-Client-ID","query:client_id","address"].</value>
    public IReadOnlyList<IdentitySource> Identify { get; init; } =
    [
        new(IdentityKind.Header, "X-API-Key"), new(IdentityKind.Header, "X-Client-ID"),
        new(IdentityKind.Query, "client_id"), new(IdentityKind.Address, ""),
    ];

    /// <summary>What becomes of requests of clients that nobody registered.</summary>
    /// <value>Key <c>clients.unknown</c>: <c>address</c>, <c>own</c> or <c>reject</c>; default: address.</value>
    public UnknownClients Unknown { get; init; }

    /// <summary>Peers whose X-Forwarded-* fields are believed.</summary>
    /// <value>Key <c>clients.trusted_proxies</c>: network, address or <c>unix</c>, or a list; default: [].</value>
    public IReadOnlyList<IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>Whoever connects to a Unix domain socket is believed, too: the proxy in front, on this machine.
    /// </summary>
    /// <value>Key <c>clients.trusted_proxies</c>: network, address or <c>unix</c>, or a list; default: [].</value>
    public bool TrustUnixSockets { get; init; }

    /// <summary>IPv6 clients are told apart by this many leading bits, 1–128 (64: one customer's network).</summary>
    /// <value>Key <c>clients.ipv6_prefix</c>: 1 to 128; default: 64.</value>
    public int Ipv6Prefix { get; init; } = 64;

    /// <summary>Callers whom no limit holds, by address.</summary>
    /// <value>Key <c>clients.exempt</c>: address, network or client id, or a list; default: [].</value>
    public IReadOnlyList<IPNetwork> ExemptNetworks { get; init; } = [];

    /// <summary>Identifiers whom no limit holds; they count as known.</summary>
    /// <value>Key <c>clients.exempt</c>: address, network or client id, or a list; default: [].</value>
    public IReadOnlyList<string> ExemptIds { get; init; } = [];

    /// <summary>No limit holds CORS preflights: OPTIONS with Origin and Access-Control-Request-Method, which browsers
    /// send of themselves, without the client's key.</summary>
    /// <value>Key <c>clients.preflight</c>: <c>counted</c> or <c>free</c>; default: counted.</value>
    public bool ExemptPreflights { get; init; }

    /// <summary>How many buckets are kept for clients without a setting of their own. Read at start only.</summary>
    /// <value>Key <c>clients.max_tracked</c>: 1 to 100,000,000; default: 1000000.</value>
    public int MaxTracked { get; init; } = 1_000_000;

    /// <summary>Those buckets outlive a restart, in a store that is this process' own. Read at start only.</summary>
    /// <value>Key <c>clients.save_unregistered</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool SaveUnregistered { get; init; }
}

/// <summary>What becomes of clients that nobody registered or exempted.</summary>
public enum UnknownClients
{
    /// <summary>They count as their address: nobody gets a fresh bucket by inventing a name.</summary>
    Address,

    /// <summary>Each identifier has a bucket of its own.</summary>
    Own,

    /// <summary>They are answered 401, with an identifier or without.</summary>
    Reject,
}

/// <summary>Where an identifier is.</summary>
public enum IdentityKind
{
    /// <summary>The caller's address is the identifier.</summary>
    Address,

    /// <summary>In a header field.</summary>
    Header,

    /// <summary>In a query parameter.</summary>
    Query,
}

/// <summary>One place where an identifier may be.</summary>
/// <param name="Kind">Where the identifier is.</param>
/// <param name="Name">Field or parameter name; empty for the address.</param>
public sealed record IdentitySource(IdentityKind Kind, string Name)
{
    public override string ToString() => Kind switch
    {
        IdentityKind.Header => "header:" + Name,
        IdentityKind.Query => "query:" + Name,
        _ => "address",
    };
}
