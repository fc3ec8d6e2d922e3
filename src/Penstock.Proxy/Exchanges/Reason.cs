namespace Penstock.Proxy.Exchanges;

/// <summary>How an exchange ended: one word, the same in the access log and in metrics.</summary>
internal enum Reason : byte
{
    Ok,
    RateLimited,

    /// <summary>The client has too many requests under way.</summary>
    ConcurrencyLimited,

    /// <summary>Nobody registered the client, and the operator wants no strangers.</summary>
    UnknownClient,

    /// <summary>An operator has blocked the client.</summary>
    ClientBlocked,
    NoRoute,
    NoBackend,

    /// <summary>All backends are full, and so is the queue.</summary>
    QueueFull,
    QueueTimeout,
    ConnectFailed,

    /// <summary>This process has no descriptor for a connection to a backend.</summary>
    NoDescriptors,
    UpstreamTimeout,
    UpstreamReset,
    UpstreamInvalid,
    ClientAbort,
    ClientTimeout,
    BadRequest,
    Loop,
    TunnelTimeout,
}

internal static class Reasons
{
    public static ReadOnlySpan<byte> Word(this Reason reason) => reason switch
    {
        Reason.Ok => "ok"u8,
        Reason.RateLimited => "rate_limited"u8,
        Reason.ConcurrencyLimited => "concurrency_limited"u8,
        Reason.UnknownClient => "unknown_client"u8,
        Reason.ClientBlocked => "client_blocked"u8,
        Reason.NoRoute => "no_route"u8,
        Reason.NoBackend => "no_backend"u8,
        Reason.QueueFull => "queue_full"u8,
        Reason.QueueTimeout => "queue_timeout"u8,
        Reason.ConnectFailed => "connect_failed"u8,
        Reason.NoDescriptors => "no_descriptors"u8,
        Reason.UpstreamTimeout => "upstream_timeout"u8,
        Reason.UpstreamReset => "upstream_reset"u8,
        Reason.UpstreamInvalid => "upstream_invalid"u8,
        Reason.ClientAbort => "client_abort"u8,
        Reason.ClientTimeout => "client_timeout"u8,
        Reason.Loop => "loop"u8,
        Reason.TunnelTimeout => "tunnel_timeout"u8,
        _ => "bad_request"u8,
    };
}
