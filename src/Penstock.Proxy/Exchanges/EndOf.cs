using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Tables of what the end of a relay means for the exchange and for the backend's error counts.
/// Pure.</summary>
internal static class EndOf
{
    /// <summary>The outcome of relaying a response from the backend to the client.</summary>
    /// <param name="upload">How the request's body ended, which ends the response too.</param>
    public static Outcome Response(RelayEnd end, RelayEnd upload) => end switch
    {
        RelayEnd.Done => Outcome.Ok,
        RelayEnd.SourceClosed => Outcome.UpstreamReset,
        RelayEnd.SourceTimedOut => Outcome.UpstreamTimeout,
        RelayEnd.BodyInvalid => Outcome.UpstreamInvalid,
        RelayEnd.TargetTimedOut => Outcome.ClientTimeout,
        RelayEnd.TargetClosed => Outcome.ClientAbort,
        _ => Upload(upload),
    };

    /// <summary>The outcome when Penstock ended a wait for the backend, because the client left or its body
    /// failed.</summary>
    /// <param name="end">How the request's body ended.</param>
    public static Outcome Upload(RelayEnd end) => end switch
    {
        RelayEnd.SourceTimedOut => Outcome.ClientTimeout,
        RelayEnd.BodyInvalid => Outcome.BadRequest,
        _ => Outcome.ClientAbort,
    };

    public static Outcome Tunnel(RelayEnd end) => end switch
    {
        RelayEnd.Done => Outcome.Ok,
        RelayEnd.SourceTimedOut or RelayEnd.TargetTimedOut => Outcome.TunnelTimeout,
        _ => Outcome.ClientAbort,
    };

    /// <summary>The failure of relaying the rest of a request to the backend.</summary>
    /// <returns>Null when the backend did not fail.</returns>
    public static Failure? Sending(RelayEnd end) => end switch
    {
        RelayEnd.TargetTimedOut => Failure.SendTimedOut,
        RelayEnd.TargetClosed => Failure.Lost,
        _ => null,
    };

    /// <summary>The error that the backend is blamed for; null: none.</summary>
    public static BackendError? Blame(Outcome outcome) => outcome switch
    {
        Outcome.ConnectFailed or Outcome.TlsFailed => BackendError.Connect,
        Outcome.UpstreamTimeout => BackendError.Timeout,
        Outcome.UpstreamReset => BackendError.Reset,
        Outcome.UpstreamInvalid => BackendError.Invalid,
        _ => null,
    };

    /// <summary>The status of Penstock's answer when there is no response of a backend.</summary>
    public static int Status(Outcome outcome) => outcome switch
    {
        Outcome.UpstreamTimeout => 504,
        Outcome.UpstreamReset or Outcome.UpstreamInvalid or Outcome.TlsFailed => 502,
        _ => 503,
    };
}
