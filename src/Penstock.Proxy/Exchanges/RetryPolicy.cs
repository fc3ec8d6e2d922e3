using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>How a try at a backend failed.</summary>
internal enum Failure : byte
{
    /// <summary>The backend refused the connection, or there is no way to it.</summary>
    NotConnected,

    /// <summary>The backend did not take the connection in time.</summary>
    ConnectTimedOut,

    /// <summary>This machine had no port, buffer or memory for a connection. The backend is not to blame.</summary>
    NoResources,

    /// <summary>This process has no descriptor for a connection; another backend would need one as well.</summary>
    NoDescriptors,

    /// <summary>The connection broke before a byte of the request was sent.</summary>
    NotSent,

    /// <summary>The backend did not take the request in time.</summary>
    SendTimedOut,

    /// <summary>The connection broke after the request or a part of it was sent, before a byte of the response.
    /// </summary>
    Lost,

    /// <summary>The response head did not come in time.</summary>
    HeadTimedOut,

    /// <summary>The connection ended within the response head.</summary>
    HeadCut,

    /// <summary>The response is not valid HTTP/1.1, or not one to this request.</summary>
    Invalid,

    /// <summary>The response has a status that <c>retries.statuses</c> lists.</summary>
    UnwantedStatus,
}

/// <summary>What is known of a request when a try fails.</summary>
internal readonly record struct RetryState
{
    /// <summary>Its method may be repeated (RFC 9110 §9.2.2).</summary>
    public bool IsIdempotent { get; init; }

    /// <summary>A part of the body is no longer here.</summary>
    public bool BodyIsGone { get; init; }

    /// <summary>The backend has the whole request.</summary>
    public bool IsSent { get; init; }

    /// <summary>The connection had served an earlier request, so the backend may have closed it meanwhile.</summary>
    public bool IsReused { get; init; }

    /// <summary>How often the request, or a part of it, was sent to a backend.</summary>
    public int Sends { get; init; }

    /// <summary>How many of <see cref="RetryConfig.Attempts"/> are used up.</summary>
    public int RetriesUsed { get; init; }

    /// <summary>Bytes of a response head have come.</summary>
    public bool ResponseBegun { get; init; }

    /// <summary>The client has got an interim response of this backend.</summary>
    public bool InterimPassed { get; init; }
}

/// <summary>What follows from a failed try.</summary>
internal readonly record struct Verdict
{
    /// <summary>The request is tried at another backend. False: the exchange ends with <see cref="Outcome"/>; but a
    /// response with an unwanted status is passed on.</summary>
    public bool Repeats { get; init; }

    /// <summary>Only if there is a backend that was not tried, and the retry budget pays.</summary>
    public bool NeedsLeave { get; init; }

    /// <summary>It uses up one of <see cref="RetryConfig.Attempts"/>.</summary>
    public bool Counts { get; init; }

    /// <summary>The longest wait before, of which a random share is waited.</summary>
    public int MaxWaitMs { get; init; }

    /// <summary>If no other backend takes the request, this one is tried again on a new connection.</summary>
    public bool OrFreshConnection { get; init; }

    /// <summary>How the exchange ends if it ends now, or if no backend is left.</summary>
    public Outcome Outcome { get; init; }

    /// <summary>What the backend is blamed for; null: nothing, or it is counted with its response.</summary>
    public BackendError? Blame { get; init; }
}

/// <summary>Whether a request is sent again after a failed try. Pure; <c>RetryPolicyTests</c> has the table. Two
/// questions are asked after it, because asking them changes something: is there another backend, and does the budget
/// pay (see <see cref="Verdict.NeedsLeave"/>)?</summary>
internal static class RetryPolicy
{
    private const int WaitUnitMs = 25;
    private const int MaxWaitMs = 250;

    public static Verdict Next(Failure failure, in RetryState state, RetryConfig config) => failure switch
    {
        // Nothing was sent, so it costs no retry. But waiting for one connection after the other would take for ever.
        Failure.NotConnected or Failure.NoResources => GiveUp(failure) with { Repeats = true },
        Failure.ConnectTimedOut => GiveUp(failure) with
        {
            Repeats = state.RetriesUsed < config.Attempts, Counts = true,
        },
        Failure.NotSent => Again(failure, state) with { Counts = false, NeedsLeave = false },
        Failure.Lost when IsStale(state) && state.Sends == 1 => state.IsIdempotent && !state.BodyIsGone
            ? Again(failure, state) with { NeedsLeave = false } : GiveUp(failure),
        Failure.Lost => MayRepeat(state, config) ? Again(failure, state) : GiveUp(failure),
        Failure.HeadTimedOut => config.PerTryTimeout > TimeSpan.Zero && !state.ResponseBegun && MayRepeat(state, config)
            ? Again(failure, state) : GiveUp(failure),
        Failure.UnwantedStatus => MayRepeat(state, config) ? Again(failure, state) : GiveUp(failure),
        _ => GiveUp(failure),
    };

    /// <summary>The request ends by this failure.</summary>
    public static Verdict GiveUp(Failure failure)
    {
        Outcome outcome = failure switch
        {
            Failure.NotConnected or Failure.ConnectTimedOut or Failure.NoResources => Outcome.ConnectFailed,
            Failure.NoDescriptors => Outcome.NoDescriptors,
            Failure.SendTimedOut or Failure.HeadTimedOut => Outcome.UpstreamTimeout,
            Failure.NotSent or Failure.Lost or Failure.HeadCut => Outcome.UpstreamReset,
            _ => Outcome.UpstreamInvalid,
        };
        return new Verdict
        {
            Outcome = outcome,
            Blame = failure is Failure.NoResources or Failure.UnwantedStatus ? null : EndOf.Blame(outcome),
        };
    }

    /// <summary>May the request meet a connection that the backend has closed already? It can be sent once more then,
    /// at no cost. Otherwise a kept connection is looked at before it is used.</summary>
    public static bool MayMeetClosed(RequestHead request, int sends) =>
        sends == 0 && request is { IsIdempotent: true, Framing: BodyFraming.None };

    /// <summary>May a second backend be asked while the first one takes long?</summary>
    public static bool MayHedge(RequestHead request, in RetryState state) =>
        state is { RetriesUsed: 0, InterimPassed: false }
        && request is { IsSafe: true, Framing: BodyFraming.None, WantsUpgrade: false };

    /// <summary>The backend may have closed a kept connection when it had been idle for long: that is nobody's fault.
    /// </summary>
    private static bool IsStale(in RetryState state) => state is { IsReused: true, RetriesUsed: 0 };

    /// <summary>By RFC 9110 §9.2.2, by what is left of the request, and by how often it was sent already.</summary>
    private static bool MayRepeat(in RetryState state, RetryConfig config) =>
        state is { IsIdempotent: true, BodyIsGone: false, IsSent: true, InterimPassed: false }
        && state.RetriesUsed < config.Attempts;

    private static Verdict Again(Failure failure, in RetryState state)
    {
        bool lost = failure is Failure.Lost or Failure.NotSent;
        bool stale = lost && IsStale(state);
        int used = state.RetriesUsed + (failure == Failure.NotSent ? 0 : 1);
        Verdict verdict = GiveUp(failure);
        return verdict with
        {
            Repeats = true,
            NeedsLeave = true,
            Counts = true,
            Blame = stale ? null : verdict.Blame,
            OrFreshConnection = lost && state.IsReused,
            MaxWaitMs = stale ? 0 : WaitAfter(used),
        };
    }

    /// <summary>Envoy's: 25 ms, 75 ms, 175 ms and so on before the second retry and those after it, so that requests
    /// that failed together do not return together.</summary>
    private static int WaitAfter(int retriesUsed) => retriesUsed < 2 ? 0
        : Math.Min(((1 << Math.Min(retriesUsed - 1, 10)) - 1) * WaitUnitMs, MaxWaitMs);
}
