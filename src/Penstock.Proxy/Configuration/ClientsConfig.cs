using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>How the client of a request is identified.</summary>
public sealed record ClientsConfig
{
    /// <summary>The places of identifiers, in order; the first that names a known client counts. The default recognises
    /// registered clients in the usual places. Unregistered clients gain nothing from it, because unknown identifiers
    /// count as their address.</summary>
    /// <value>Key <c>clients.identify</c>: <c>header:NAME</c>, <c>query:NAME</c>, <c>certificate:PART</c> or
    /// <c>address</c>, or a list; default:
    /// ["header:X-API-Key","header:X-Client-ID","query:client_id","address"].</value>
    public IReadOnlyList<IdentitySource> Identify { get; init; } =
    [
        new(IdentityKind.Header, "X-API-Key"), new(IdentityKind.Header, "X-Client-ID"),
        new(IdentityKind.Query, "client_id"), new(IdentityKind.Address, ""),
    ];

    /// <summary>How requests of unregistered clients are counted.</summary>
    /// <value>Key <c>clients.unknown</c>: <c>address</c>, <c>own</c> or <c>reject</c>; default: address.</value>
    public UnknownClients Unknown { get; init; }

    /// <summary>Peers whose X-Forwarded-* fields are believed.</summary>
    /// <value>Key <c>clients.trusted_proxies</c>: network, address or <c>unix</c>, or a list; default: [].</value>
    public IReadOnlyList<IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>Clients of Unix domain sockets are trusted as well: the proxy in front, on this machine.</summary>
    /// <value>Key <c>clients.trusted_proxies</c>: network, address or <c>unix</c>, or a list; default: [].</value>
    public bool TrustUnixSockets { get; init; }

    /// <summary>How many leading bits tell IPv6 clients apart, 1 to 128. 64 is one customer's network.</summary>
    /// <value>Key <c>clients.ipv6_prefix</c>: 1 to 128; default: 64.</value>
    public int Ipv6Prefix { get; init; } = 64;

    /// <summary>Addresses that are exempt from all limits.</summary>
    /// <value>Key <c>clients.exempt</c>: address, network or client id, or a list; default: [].</value>
    public IReadOnlyList<IPNetwork> ExemptNetworks { get; init; } = [];

    /// <summary>Identifiers that are exempt from all limits. They count as known.</summary>
    /// <value>Key <c>clients.exempt</c>: address, network or client id, or a list; default: [].</value>
    public IReadOnlyList<string> ExemptIds { get; init; } = [];

    /// <summary>CORS preflights are exempt from all limits: OPTIONS with Origin and Access-Control-Request-Method,
    /// which browsers send by themselves, without the client's key.</summary>
    /// <value>Key <c>clients.preflight</c>: <c>counted</c> or <c>free</c>; default: counted.</value>
    public bool ExemptPreflights { get; init; }

    /// <summary>How many buckets of unregistered clients are kept. Read at start only.</summary>
    /// <value>Key <c>clients.max_tracked</c>: 1 to 100,000,000; default: 1000000.</value>
    public int MaxTracked { get; init; } = 1_000_000;

    /// <summary>These buckets survive a restart, in a store of this process alone. Read at start only.</summary>
    /// <value>Key <c>clients.save_unregistered</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool SaveUnregistered { get; init; }
}

/// <summary>How clients that are neither registered nor exempt are counted.</summary>
public enum UnknownClients
{
    /// <summary>They count as their address, so that nobody gets a new bucket by inventing a name.</summary>
    Address,

    /// <summary>Each identifier has its own bucket.</summary>
    Own,

    /// <summary>They are answered with 401, with or without an identifier.</summary>
    Reject,
}

/// <summary>Where an identifier is.</summary>
public enum IdentityKind
{
    /// <summary>The identifier is the caller's address.</summary>
    Address,

    /// <summary>The identifier is in a header field.</summary>
    Header,

    /// <summary>The identifier is in a query parameter.</summary>
    Query,

    /// <summary>The identifier is a part of the certificate that the client has shown (mutual TLS).</summary>
    Certificate,
}

/// <summary>One place where an identifier may be.</summary>
/// <param name="Kind">Where the identifier is.</param>
/// <param name="Name">The name of the field or parameter, or the <see cref="CertificatePart"/> in lower case; empty for
/// the address.</param>
public sealed record IdentitySource(IdentityKind Kind, string Name)
{
    /// <summary>The part of the certificate, if <see cref="Kind"/> says so.</summary>
    public CertificatePart Part => Name switch
    {
        "subject" => CertificatePart.Subject,
        "san" => CertificatePart.San,
        _ => CertificatePart.Fingerprint,
    };

    public override string ToString() => Kind switch
    {
        IdentityKind.Header => "header:" + Name,
        IdentityKind.Query => "query:" + Name,
        IdentityKind.Certificate => "certificate:" + Name,
        _ => "address",
    };
}
