using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>How an exchange ended. Its word is the same in the access log and in metrics.</summary>
internal enum Outcome : byte
{
    Ok,
    RateLimited,

    /// <summary>The client has too many requests in flight.</summary>
    ConcurrencyLimited,

    /// <summary>The client is not registered, and <c>clients.unknown</c> is <c>reject</c>.</summary>
    UnknownClient,

    /// <summary>An operator has blocked the client.</summary>
    ClientBlocked,
    NoRoute,
    NoBackend,

    /// <summary>All backends are full, and so is the queue.</summary>
    QueueFull,
    QueueTimeout,
    ConnectFailed,

    /// <summary>TLS with the backend failed, or its certificate is not accepted.</summary>
    TlsFailed,

    /// <summary>This process has no file descriptor for a backend connection.</summary>
    NoDescriptors,
    UpstreamTimeout,
    UpstreamReset,
    UpstreamInvalid,
    ClientAbort,
    ClientTimeout,
    BadRequest,
    Loop,
    TunnelTimeout,

    /// <summary>The listener sends its clients to HTTPS.</summary>
    Redirected,
}

internal static class Outcomes
{
    /// <param name="status">The response's status; 0: the client got none.</param>
    public static RequestEnd End(this Outcome outcome, int status) => outcome switch
    {
        Outcome.RateLimited or Outcome.ConcurrencyLimited or Outcome.UnknownClient or Outcome.ClientBlocked =>
            RequestEnd.Rejected,
        Outcome.UpstreamTimeout or Outcome.UpstreamReset or Outcome.UpstreamInvalid => RequestEnd.Failed,
        _ => status >= 500 ? RequestEnd.Failed : RequestEnd.Served,
    };

    public static ReadOnlySpan<byte> Word(this Outcome outcome) => outcome switch
    {
        Outcome.Ok => "ok"u8,
        Outcome.RateLimited => "rate_limited"u8,
        Outcome.ConcurrencyLimited => "concurrency_limited"u8,
        Outcome.UnknownClient => "unknown_client"u8,
        Outcome.ClientBlocked => "client_blocked"u8,
        Outcome.NoRoute => "no_route"u8,
        Outcome.NoBackend => "no_backend"u8,
        Outcome.QueueFull => "queue_full"u8,
        Outcome.QueueTimeout => "queue_timeout"u8,
        Outcome.ConnectFailed => "connect_failed"u8,
        Outcome.TlsFailed => "tls_failed"u8,
        Outcome.NoDescriptors => "no_descriptors"u8,
        Outcome.UpstreamTimeout => "upstream_timeout"u8,
        Outcome.UpstreamReset => "upstream_reset"u8,
        Outcome.UpstreamInvalid => "upstream_invalid"u8,
        Outcome.ClientAbort => "client_abort"u8,
        Outcome.ClientTimeout => "client_timeout"u8,
        Outcome.Loop => "loop"u8,
        Outcome.TunnelTimeout => "tunnel_timeout"u8,
        Outcome.Redirected => "redirected"u8,
        _ => "bad_request"u8,
    };
}
