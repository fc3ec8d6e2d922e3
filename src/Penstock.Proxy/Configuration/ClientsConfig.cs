using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>Who a request is counted for.</summary>
public sealed record ClientsConfig
{
    /// <summary>Tried in order, the first that names a known client counts. By default registered clients are
    /// recognised in the usual places, which gives strangers nothing: unknown identifiers count as their
    /// address.</summary>
    public IReadOnlyList<IdentitySource> Identify { get; init; } =
    [
        new(IdentityKind.Header, "X-API-Key"), new(IdentityKind.Header, "X-Client-ID"),
        new(IdentityKind.Query, "client_id"), new(IdentityKind.Address, ""),
    ];

    /// <summary>What becomes of requests of clients that nobody registered.</summary>
    public UnknownClients Unknown { get; init; }

    /// <summary>Peers whose X-Forwarded-* fields are believed.</summary>
    public IReadOnlyList<IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>Whoever connects to a Unix domain socket is believed, too: the proxy in front, on this machine.
    /// </summary>
    public bool TrustUnixSockets { get; init; }

    /// <summary>IPv6 clients are told apart by this many leading bits, 1–128 (64: one customer's network).</summary>
    public int Ipv6Prefix { get; init; } = 64;

    /// <summary>Callers whom no limit holds, by address.</summary>
    public IReadOnlyList<IPNetwork> ExemptNetworks { get; init; } = [];

    /// <summary>Identifiers whom no limit holds; they count as known.</summary>
    public IReadOnlyList<string> ExemptIds { get; init; } = [];

    /// <summary>No limit holds CORS preflights: OPTIONS with Origin and Access-Control-Request-Method, which browsers
    /// send of themselves, without the client's key.</summary>
    public bool ExemptPreflights { get; init; }

    /// <summary>Most buckets tracked for clients without a setting of their own.</summary>
    public int MaxTracked { get; init; } = 1_000_000;

    /// <summary>Those buckets outlive a restart, in a store that is this process' own.</summary>
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

public enum IdentityKind
{
    Address,
    Header,
    Query,
}

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
