using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>How an attempt at a backend failed.</summary>
internal enum Failure : byte
{
    /// <summary>The backend refused the connection, or is unreachable.</summary>
    NotConnected,

    /// <summary>TLS with the backend failed, or its certificate is not accepted.</summary>
    NotSecured,

    /// <summary>The connection was not established in time.</summary>
    ConnectTimedOut,

    /// <summary>This machine had no port, buffer or memory for a connection. It is not the backend's fault.</summary>
    NoResources,

    /// <summary>This process has no file descriptor for a connection. Another backend would need one too.</summary>
    NoDescriptors,

    /// <summary>The connection broke before a byte of the request was sent.</summary>
    NotSent,

    /// <summary>The backend did not accept the whole request in time.</summary>
    SendTimedOut,

    /// <summary>The connection broke after the request or a part of it was sent, before a byte of the response.
    /// </summary>
    Lost,

    /// <summary>The response head did not arrive in time.</summary>
    HeadTimedOut,

    /// <summary>The connection ended within the response head.</summary>
    HeadCut,

    /// <summary>The response is not valid HTTP/1.1, or not one to this request.</summary>
    Invalid,

    /// <summary>The response has a status that <c>retries.statuses</c> lists.</summary>
    UnwantedStatus,
}

/// <summary>What is known about a request when an attempt fails.</summary>
internal readonly record struct RetryState
{
    /// <summary>The method is idempotent (RFC 9110 §9.2.2).</summary>
    public bool IsIdempotent { get; init; }

    /// <summary>A part of the body is no longer in memory.</summary>
    public bool BodyIsGone { get; init; }

    /// <summary>The backend has the whole request.</summary>
    public bool IsSent { get; init; }

    /// <summary>The connection was idle in the pool, so the backend may have closed it.</summary>
    public bool IsReused { get; init; }

    /// <summary>How often the request, or a part of it, was sent to a backend.</summary>
    public int Sends { get; init; }

    /// <summary>How many of <see cref="RetryConfig.Attempts"/> are used up.</summary>
    public int RetriesUsed { get; init; }

    /// <summary>Bytes of a response head have arrived.</summary>
    public bool ResponseBegun { get; init; }

    /// <summary>The client has received an interim response of this backend.</summary>
    public bool InterimPassed { get; init; }
}

/// <summary>What follows from a failed attempt.</summary>
internal readonly record struct Verdict
{
    /// <summary>The request is sent to another backend. False: the exchange ends with <see cref="Outcome"/>; but a
    /// response with an unwanted status is passed on.</summary>
    public bool Repeats { get; init; }

    /// <summary>The retry happens only if an untried backend is left and the retry budget pays for it.</summary>
    public bool NeedsLeave { get; init; }

    /// <summary>The retry uses up one of <see cref="RetryConfig.Attempts"/>.</summary>
    public bool Counts { get; init; }

    /// <summary>The longest wait before the retry. The actual wait is a random share of it.</summary>
    public int MaxWaitMs { get; init; }

    /// <summary>If no other backend takes the request, it is sent to this one again on a new connection.</summary>
    public bool OrFreshConnection { get; init; }

    /// <summary>How the exchange ends if it ends now, or if no backend is left.</summary>
    public Outcome Outcome { get; init; }

    /// <summary>The error that the backend is blamed for; null: none, or it is counted with the response.</summary>
    public BackendError? Blame { get; init; }
}

/// <summary>Decides whether a request is sent again after a failed attempt. Pure; <c>RetryPolicyTests</c> has the
/// table. The caller then asks two questions whose answers change state: is there another backend, and does the budget
/// pay (see <see cref="Verdict.NeedsLeave"/>)?</summary>
internal static class RetryPolicy
{
    private const int WaitUnitMs = 25;
    private const int MaxWaitMs = 250;

    public static Verdict Next(Failure failure, in RetryState state, RetryConfig config) => failure switch
    {
        // Nothing was sent, so the next attempt costs no retry. A connect timeout does count: waiting for one
        // connection after the other would take too long.
        Failure.NotConnected or Failure.NotSecured or Failure.NoResources => GiveUp(failure) with { Repeats = true },
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

    /// <summary>The verdict when the request ends with this failure.</summary>
    public static Verdict GiveUp(Failure failure)
    {
        Outcome outcome = failure switch
        {
            Failure.NotConnected or Failure.ConnectTimedOut or Failure.NoResources => Outcome.ConnectFailed,
            Failure.NotSecured => Outcome.TlsFailed,
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

    /// <summary>Whether the request may use a pooled connection that the backend has perhaps closed. It can then be
    /// sent once more without cost. For other requests Penstock first asks the kernel whether the connection is
    /// open.</summary>
    public static bool MayMeetClosed(RequestHead request, int sends) =>
        sends == 0 && request is { IsIdempotent: true, Framing: BodyFraming.None };

    /// <summary>Whether the request may be sent to a second backend while the first one takes long.</summary>
    public static bool MayHedge(RequestHead request, in RetryState state) =>
        state is { RetriesUsed: 0, InterimPassed: false }
        && request is { IsSafe: true, Framing: BodyFraming.None, WantsUpgrade: false };

    /// <summary>Whether the failure may mean only that the backend had closed an idle connection. That is no error of
    /// the backend.</summary>
    private static bool IsStale(in RetryState state) => state is { IsReused: true, RetriesUsed: 0 };

    /// <summary>Whether the method (RFC 9110 §9.2.2), the rest of the request and the number of retries allow another
    /// one.</summary>
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

    /// <summary>The longest wait before a retry, as in Envoy: none before the first one, then 25 ms, 75 ms, 175 ms and
    /// at most 250 ms. It keeps requests that failed together from being retried together.</summary>
    private static int WaitAfter(int retriesUsed) => retriesUsed < 2 ? 0
        : Math.Min(((1 << Math.Min(retriesUsed - 1, 10)) - 1) * WaitUnitMs, MaxWaitMs);
}
