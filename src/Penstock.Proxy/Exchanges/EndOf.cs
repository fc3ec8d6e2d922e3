using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What the end of a relay means for the exchange, and for the backend's record. All such tables are here.
/// </summary>
internal static class EndOf
{
    /// <summary>The rest of a response was on its way from the backend to the client.</summary>
    /// <param name="upload">How the request's body ended, which ends the response, too.</param>
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

    /// <summary>A wait for the backend was ended from our side: because the client is gone, or because its body cannot
    /// go on.</summary>
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

    /// <summary>A request that did not fit into the backend's socket was on its way there.</summary>
    /// <returns>Null when the backend did not fail.</returns>
    public static Failure? Sending(RelayEnd end) => end switch
    {
        RelayEnd.TargetTimedOut => Failure.SendTimedOut,
        RelayEnd.TargetClosed => Failure.Lost,
        _ => null,
    };

    /// <summary>What the backend is blamed for when an exchange ends so; null: nothing.</summary>
    public static BackendError? Blame(Outcome outcome) => outcome switch
    {
        Outcome.ConnectFailed => BackendError.Connect,
        Outcome.UpstreamTimeout => BackendError.Timeout,
        Outcome.UpstreamReset => BackendError.Reset,
        Outcome.UpstreamInvalid => BackendError.Invalid,
        _ => null,
    };

    /// <summary>The status of our own answer when no backend gave one.</summary>
    public static int Status(Outcome outcome) => outcome switch
    {
        Outcome.UpstreamTimeout => 504,
        Outcome.UpstreamReset or Outcome.UpstreamInvalid => 502,
        _ => 503,
    };
}
