using System.Diagnostics;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>One request and its response: all that is known of them, and the configuration they go by. Reused by its
/// loop; a connection holds one only from a request's first byte to its response's last. What has another lifetime is
/// elsewhere: the connection's in <see cref="ClientConnection"/>, a try's in <see cref="Attempt"/>. Not thread-safe.
/// </summary>
internal sealed class Exchange(HeadBounds bounds)
{
    public const int MaxRequestIdBytes = 64;

    private readonly byte[] _clientName = new byte[ClientIdentifier.MaxIdBytes];
    private readonly byte[] _requestId = new byte[MaxRequestIdBytes];
    private int _clientNameLength;
    private int _requestIdLength;
    private ClientConnection? _client;
    private Snapshot? _snapshot;
    private UpstreamConfig? _upstreamConfig;

    // ---- who serves it, and by what configuration

    public HeadBounds Bounds => bounds;

    /// <summary>The connection it came on.</summary>
    public ClientConnection Client => _client!;

    public Worker Worker => _client!.Worker;

    public Loop Loop => _client!.Worker.Loop;

    /// <summary>In force when its first byte came.</summary>
    public Snapshot Snapshot => _snapshot!;

    /// <summary>The configuration of its upstream that was in force when a backend was first looked for. A reload
    /// meanwhile is for later requests.</summary>
    public UpstreamConfig UpstreamConfig => _upstreamConfig!;

    /// <summary>The route's own, or its upstream's.</summary>
    public RetryConfig RetryConfig => Route!.Config.Retries ?? UpstreamConfig.Retries;

    public long ConnectTimeoutMs => Route is { ConnectTimeoutMs: > 0 and var ms } ? ms : Snapshot.ConnectTimeoutMs;

    public long ResponseTimeoutMs => Route is { ResponseTimeoutMs: > 0 and var ms } ? ms : Snapshot.ResponseTimeoutMs;

    // ---- the request

    public RequestHead Request { get; } = new(bounds);

    /// <summary>The request's head as it came.</summary>
    public ReadOnlySpan<byte> Head => Client.Received[..Request.Length];

    /// <summary>Where its body stands after the last send.</summary>
    public BodyReader RequestBody;

    /// <summary>Bytes behind the head that belong to its body and are used.</summary>
    public int BodyTaken;

    /// <summary>Room for identifiers that came percent-encoded.</summary>
    public byte[] IdentityRoom { get; } = new byte[ClientIdentifier.RoomBytes];

    /// <summary>Knows the fields that say who the client is; null before it was asked.</summary>
    public ClientIdentifier? Identifier;
    public ClientAddress? Caller;

    /// <summary>The entry of <c>clients.identify</c> that told the client; null before it was asked.</summary>
    public byte[]? IdentifiedBy;

    /// <summary>The header value that identified the client, if one did: it is forwarded even if the Connection field
    /// lists it.</summary>
    public Slice IdentityValue;
    public bool PeerTrusted;

    /// <summary>No limit holds its client.</summary>
    public bool Exempt;
    public Route? Route;

    /// <summary>What it took from its limits.</summary>
    public Admission Admission { get; } = new();

    /// <summary>Its wait for tokens that nodes share; null: it has not waited for any.</summary>
    public TokenWait? Tokens;

    /// <summary>When it first waited for tokens; -1: it has not.</summary>
    public long TokensBeganMs = -1;

    // ---- the tries

    /// <summary>The backend that the client's session cookie names.</summary>
    public Backend? StickyBackend;

    /// <summary>Hash of what its upstream spreads by.</summary>
    public ulong AffinityHash;

    /// <summary>The try under way, or the last one.</summary>
    public Attempt Current { get; private set; } = new(bounds);

    /// <summary>A second try at the same time: made by the first hedge, then kept.</summary>
    public Attempt? Rival { get; private set; }
    public bool Hedged;

    /// <summary>Backends that this request was tried on in vain.</summary>
    public List<Backend> Tried { get; } = [];

    /// <summary>How often the request, or a part of it, was sent, hedges aside.</summary>
    public int Sends;

    /// <summary>How many of <see cref="RetryConfig.Attempts"/> are used up.</summary>
    public int RetriesUsed;

    /// <summary>Requests sent to a backend and not answered before the one that was, for the log.</summary>
    public int Retries;

    /// <summary>Only a kept connection of it was dead: if no other backend takes the request, it may get a new one.
    /// </summary>
    public Backend? StaleBackend;

    /// <summary>No kept connection is used for the next send.</summary>
    public bool FreshOnly;

    /// <summary>The longest wait before the next try.</summary>
    public int MaxWaitMs;

    /// <summary>The rest of the body that did not fit into the first send; null: there was none.</summary>
    public Upload? Upload;

    /// <summary>Bytes behind the request were more than we can keep.</summary>
    public bool ExcessLost;

    /// <summary>What a socket did not take at once; one flush at a time.</summary>
    public ByteWindow Pending;
    private SlotWait? _slot;
    private Pause? _pause;

    // ---- how it ends

    /// <summary>How it ended; while it is tried again, how the last try did.</summary>
    public Outcome Outcome;
    public HttpFault Fault;
    public int Status;

    /// <summary>Both sides speak another protocol: the client may end its direction and go on listening.</summary>
    public bool IsTunnel;

    public long StartNs;

    /// <summary>How long it waited for a place at a backend.</summary>
    public long QueuedNs;
    public long ResponseNs;

    /// <summary>Bytes of body.</summary>
    public long BytesIn;
    public long BytesOut;

    public Backend? Backend
    {
        get => Current.Backend;
        set => Current.Backend = value;
    }

    public ResponseHead Response => Current.Response;

    public long SentNs
    {
        get => Current.SentNs;
        set => Current.SentNs = value;
    }

    public SlotWait Slot => _slot ??= new SlotWait(Loop);

    public Pause Pause => _pause ??= new Pause(Loop);

    /// <summary>How the request's body ended that ended the exchange, if it did.</summary>
    public RelayEnd UploadFailure => Upload?.Failure ?? RelayEnd.Done;

    public RetryState RetryState => new()
    {
        IsIdempotent = Request.IsIdempotent,
        BodyIsGone = Upload is not null,
        IsSent = Current.IsSent,
        IsReused = Current.Connection?.IsReused == true,
        Sends = Sends,
        RetriesUsed = RetriesUsed,
        ResponseBegun = Current.HasBegunToRespond,
        InterimPassed = Current.Interims > 0,
    };

    public void Begin(ClientConnection client, Snapshot snapshot)
    {
        Debug.Assert(_client is null, "it is in use");
        (_client, _snapshot) = (client, snapshot);
        StartNs = Loop.NowNs;
    }

    /// <summary>From now on the request goes by the configuration of its upstream that is in force.</summary>
    public void FixUpstreamConfig() => _upstreamConfig = Route!.Upstream.Config;

    /// <summary>The try to ask a second backend by.</summary>
    public Attempt BeginRival(Backend backend)
    {
        Rival ??= new Attempt(bounds);
        Rival.Begin(backend);
        return Rival;
    }

    /// <summary>The second try is the current one from now on, and the first one is the second.</summary>
    public void SwapRival() => (Current, Rival) = (Rival!, Current);

    /// <summary>Ends the current try; see <see cref="Attempt.End"/>.</summary>
    public void EndAttempt(bool reusable) => Current.End(Route!.Upstream, Loop, !reusable ? 0
        : UpstreamConfig.BackendIdle is { } idle ? (long)idle.TotalMilliseconds : Snapshot.BackendIdleMs);

    /// <summary>Nobody waits for a response any more: ends every wait that is under way for something else than the
    /// client's bytes. A new kind of wait belongs in here. A last flush needs no backend and goes on.</summary>
    public void GiveUp()
    {
        Tokens?.Cancel();
        _slot?.Cancel();
        _pause?.Cancel();
        if (Current.Connection is { } connection)
        {
            Client.Io.InterruptWaits();
            connection.Io.Cancel();
        }
        Rival?.Connection?.Io.Cancel();
    }

    /// <summary>Counts and logs it, and frees what it still holds; what can be used again is given back
    /// already.</summary>
    public void End()
    {
        Worker.Counters.Count(
            (Status == 429 && Admission.Rejected) || Outcome == Outcome.ClientBlocked,
            Outcome is not Outcome.Ok && Status >= 500);
        Caller ??= Client.PeerAddress;
        Worker.LogAccess(this, Client.Received);
        Upload?.Stop();
        if (Route is not null)
        {
            EndAttempt(reusable: false);
            Rival?.End(Route.Upstream, Loop, keepMs: 0); // ended already, but after a bug
        }
        Pending.Release(Loop.Buffers);
        ReleaseTokens();
        Admission.Leave();
    }

    /// <summary>Keeps what a socket did not take. The loop's scratch is anybody's after the next wait.</summary>
    /// <param name="sent">How many of the bytes it took; negative: none.</param>
    public void Keep(ReadOnlySpan<byte> bytes, int sent) => Pending.Fill(bytes[Math.Max(0, sent)..], Loop.Buffers);

    /// <summary>Gives it an X-Request-Id of our own.</summary>
    public void MakeRequestId()
    {
        Span<byte> made = stackalloc byte[16];
        RequestId = made[..Worker.NewRequestId(made)];
    }

    /// <summary>Makes it ready for another request.</summary>
    public void Reset()
    {
        Debug.Assert(Pending.Length == 0 && Tokens is null, "it still holds something");
        _client = null;
        _snapshot = null;
        _upstreamConfig = null;
        Request.Reset();
        RequestBody = default;
        BodyTaken = 0;
        Identifier = null;
        Caller = null;
        IdentifiedBy = null;
        IdentityValue = new Slice(-1, 0);
        PeerTrusted = Exempt = Hedged = FreshOnly = ExcessLost = IsTunnel = false;
        Route = null;
        Admission.Reset();
        StickyBackend = StaleBackend = null;
        AffinityHash = 0;
        Current.Reset();
        Tried.Clear();
        Sends = RetriesUsed = Retries = MaxWaitMs = Status = 0;
        Upload = null;
        Outcome = Outcome.Ok;
        Fault = HttpFault.None;
        StartNs = QueuedNs = ResponseNs = BytesIn = BytesOut = 0;
        _clientNameLength = _requestIdLength = 0;
    }

    private void ReleaseTokens()
    {
        TokensBeganMs = -1;
        if (Tokens is not null)
        {
            if (Tokens.Abandon())
            {
                Worker.ReturnTokenWait(Tokens);
            }
            Tokens = null;
        }
    }

    /// <summary>The identifier that the request was counted under; a copy, because the bytes it came in may be
    /// overwritten before the log is written.</summary>
    public ReadOnlySpan<byte> ClientName
    {
        get => _clientName.AsSpan(0, _clientNameLength);
        set
        {
            _clientNameLength = Math.Min(value.Length, _clientName.Length);
            value[.._clientNameLength].CopyTo(_clientName);
        }
    }

    /// <summary>The X-Request-Id that both sides and the log are told, at most
    /// <see cref="MaxRequestIdBytes"/>.</summary>
    public ReadOnlySpan<byte> RequestId
    {
        get => _requestId.AsSpan(0, _requestIdLength);
        set
        {
            _requestIdLength = value.Length;
            value.CopyTo(_requestId);
        }
    }
}
