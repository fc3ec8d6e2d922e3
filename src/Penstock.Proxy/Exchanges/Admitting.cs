using System.Text;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>First phase of an exchange: who sends the request, where does it go, do its limits admit it?
/// <see cref="Decider"/> decides; this class acts on it.</summary>
internal static class Admitting
{
    /// <summary>Stands in the list of rejections where otherwise a limit's name is, for unregistered clients.</summary>
    private static readonly byte[] UnknownLimit = Outcome.UnknownClient.Word().ToArray();

    private static ReadOnlySpan<byte> ChallengePath => "/.well-known/acme-challenge/"u8;

    /// <summary>The same for blocked clients.</summary>
    private static readonly byte[] BlockedLimit = Outcome.ClientBlocked.Word().ToArray();

    public static Step Decide(Exchange exchange)
    {
        ClientConnection client = exchange.Client;
        exchange.HeadNs = exchange.Loop.NowNs;
        exchange.PeerTrusted = client.PeerTrusted;
        exchange.Caller = client.PeerTrusted
            ? exchange.Snapshot.Identifier.Caller(exchange.Request, exchange.Head, client.PeerAddress)
            : client.PeerAddress;
        ChooseRequestId(exchange);
        Tracing.Begin(exchange);
        if (exchange.Listener.ChallengeAnswer is { } challenge && ChallengeText(exchange, challenge) is { } text)
        {
            exchange.OwnText = Encoding.ASCII.GetBytes(text);
            return Answering.AnswerWith(exchange, Outcome.Ok, 200);
        }
        if (exchange.Listener.RedirectPort > 0)
        {
            return exchange.Request.Authority.Length == 0 ? Answering.AnswerFault(exchange, HttpFault.HostMissing)
                : Answering.AnswerWith(exchange, Outcome.Redirected, 308);
        }
        return Decide(exchange, mayWait: exchange.Snapshot.TokenWaitMs > 0);
    }

    /// <summary>The answer to a certificate authority that checks a name; null: it is another request.</summary>
    private static string? ChallengeText(Exchange exchange, Func<string, string?> answer)
    {
        ReadOnlySpan<byte> path = exchange.Request.Path.Of(exchange.Head);
        return path.StartsWith(ChallengePath) ? answer(Encoding.ASCII.GetString(path[ChallengePath.Length..])) : null;
    }

    /// <summary>Continues after a wait for tokens.</summary>
    public static Step OnTokens(Exchange exchange, WaitResult result)
    {
        TokenWait wait = exchange.Tokens!;
        if (!wait.IsOver(result))
        {
            return Step.AwaitTokens;
        }
        if (wait.Canceled || exchange.Client.HasLeft)
        {
            wait.Prepaid?.Debit(exchange.Loop.NowNs, -exchange.Admission.Cost);
            return Failing.ClientGone(exchange);
        }
        if (wait is { TimedOut: true, Prepaid: null })
        {
            exchange.Snapshot.Limiter.NoteWaitedInVain();
        }
        return DecideAgain(exchange);
    }

    /// <param name="prepaid">The bucket whose tokens were taken for the request while it waited; null: none.</param>
    private static Step Decide(Exchange exchange, bool mayWait, LeasedBucket? prepaid = null)
    {
        Snapshot snapshot = exchange.Snapshot;
        Ruling ruling = Decider.Decide(snapshot, exchange.Request, exchange.Head, exchange.Caller!,
            exchange.IdentityRoom, exchange.Loop.Scratch, exchange.Certificate);
        exchange.Route = ruling.Route;
        exchange.Fault = ruling.Fault;
        exchange.Identifier = snapshot.Identifier;
        exchange.ClientName = ruling.Client.Name;
        exchange.IdentifiedBy = snapshot.Identifier.SourceBytes(ruling.Client.Source);
        if (ruling.Client.Field.Length > 0)
        {
            exchange.IdentityValue = ruling.Client.Field;
        }
        if (!ruling.GoesOn)
        {
            prepaid?.Debit(exchange.Loop.NowNs, -exchange.Admission.Cost); // the decision has changed during the wait
            NoteTurnedAway(exchange, ruling);
            return Answering.AnswerWith(exchange, ruling.Outcome, ruling.Status);
        }
        if (Admit(exchange, ruling.Client, mayWait, prepaid))
        {
            return Step.Pick;
        }
        return exchange.Admission.Awaited is { } awaited ? AwaitTokens(exchange, awaited)
            : Answering.AnswerWith(exchange, Decider.OfRejection(exchange.Admission), 429);
    }

    private static bool Admit(Exchange exchange, in ClientIdentity client, bool mayWait, LeasedBucket? prepaid)
    {
        Admission admission = exchange.Admission;
        exchange.Exempt = client.Exempt;
        if (client.Exempt)
        {
            prepaid?.Debit(exchange.Loop.NowNs, -admission.Cost);
            return true;
        }
        bool admitted = admission.TryAdmit(exchange.Snapshot.Limiter, exchange.Route!.Limits,
            client.For(exchange.Caller!, mayWait, prepaid), exchange.Loop.NowNs);
        if ((!admitted && admission.Awaited is null) || (admitted && admission.DryRejection is not null))
        {
            NoteRejection(exchange, client, dryRun: admitted);
        }
        return admitted;
    }

    /// <summary>Only these tokens are missing, and they may arrive: waits for them, or decides again at once if the
    /// wait is decided already. All waits of a request together take at most <c>timeouts.tokens</c>.</summary>
    private static Step AwaitTokens(Exchange exchange, LeasedBucket client)
    {
        if (exchange.Client.HasLeft)
        {
            return Failing.ClientGone(exchange);
        }
        exchange.TokensBeganMs = exchange.TokensBeganMs < 0 ? exchange.Loop.NowMs : exchange.TokensBeganMs;
        exchange.Tokens ??= exchange.Worker.RentTokenWait();
        long untilMs = exchange.TokensBeganMs + exchange.Snapshot.TokenWaitMs;
        return exchange.Tokens.Begin(client, exchange.Admission.Cost, untilMs)
            ? Step.AwaitTokens : DecideAgain(exchange);
    }

    private static Step DecideAgain(Exchange exchange)
    {
        LeasedBucket? prepaid = exchange.Tokens!.Prepaid;
        exchange.Admission.Reset();
        bool mayWait = prepaid is not null
            && exchange.Loop.NowMs < exchange.TokensBeganMs + exchange.Snapshot.TokenWaitMs;
        return Decide(exchange, mayWait, prepaid);
    }

    private static void NoteRejection(Exchange exchange, in ClientIdentity client, bool dryRun)
    {
        AppliedLimit charge = exchange.Admission.Rejection;
        exchange.Worker.Rejections.Add(new RejectionNote
        {
            ClientLimitHash = exchange.Snapshot.Limiter.HashOf(client.Name, client.Domain) ^ charge.Rule.ConcurrencyKey,
            Client = client.Name,
            IdentifiedBy = exchange.Snapshot.Identifier.SourceName(client.Source),
            Limit = charge.NameBytes,
            Route = exchange.Route!.NameBytes,
            RequestId = exchange.RequestId,
            Tokens = charge.Full ? 0 : charge.WholeTokens,
            Cost = exchange.Admission.Cost,
            RetryAfterSeconds = exchange.Admission.RetryAfterSeconds,
            DryRun = dryRun,
        }, exchange.Loop.NowNs);
    }

    /// <summary>Adds an unknown or blocked client to the list of rejections.</summary>
    private static void NoteTurnedAway(Exchange exchange, in Ruling ruling)
    {
        if (ruling.Outcome is not (Outcome.UnknownClient or Outcome.ClientBlocked))
        {
            return;
        }
        exchange.Worker.Rejections.Add(new RejectionNote
        {
            ClientLimitHash = exchange.Snapshot.Limiter.HashOf(ruling.Client.Name, ruling.Client.Domain),
            Client = ruling.Client.Name,
            IdentifiedBy = exchange.Snapshot.Identifier.SourceName(ruling.Client.Source),
            Limit = ruling.Outcome == Outcome.UnknownClient ? UnknownLimit : BlockedLimit,
            Route = exchange.Route!.NameBytes,
            RequestId = exchange.RequestId,
            Tokens = 0,
            Cost = 0,
            RetryAfterSeconds = 0,
            DryRun = false,
        }, exchange.Loop.NowNs);
    }

    /// <summary>Keeps the caller's X-Request-Id if it is a token, else makes a new one.</summary>
    private static void ChooseRequestId(Exchange exchange)
    {
        ReadOnlySpan<byte> head = exchange.Head;
        if (exchange.Request.TryGet(head, "x-request-id"u8, out Slice given)
            && given.Length is > 0 and <= Exchange.MaxRequestIdBytes && Grammar.IsToken(given.Of(head)))
        {
            exchange.RequestId = given.Of(head);
            return;
        }
        exchange.MakeRequestId();
    }
}
