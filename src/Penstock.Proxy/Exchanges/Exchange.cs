using System.Diagnostics;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Tls;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>One request and its response, with all their state and the configuration that they use. Its loop reuses it;
/// a connection holds one only from a request's first byte to its response's last. State with another lifetime is
/// elsewhere: the connection's in <see cref="ClientConnection"/>, an attempt's in <see cref="Attempt"/>. Not
/// thread-safe.</summary>
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

    // ---- connection and configuration

    public HeadBounds Bounds => bounds;

    /// <summary>The client connection of the request.</summary>
    public ClientConnection Client => _client!;

    public Worker Worker => _client!.Worker;

    public Loop Loop => _client!.Worker.Loop;

    /// <summary>The configuration that was in force when the request's first byte arrived.</summary>
    public Snapshot Snapshot => _snapshot!;

    /// <summary>The upstream's configuration that was in force when a backend was first picked. A later reload does not
    /// change it.</summary>
    public UpstreamConfig UpstreamConfig => _upstreamConfig!;

    /// <summary>The retry configuration of the route, else of its upstream.</summary>
    public RetryConfig RetryConfig => Route!.Config.Retries ?? UpstreamConfig.Retries;

    public long ConnectTimeoutMs => Route is { ConnectTimeoutMs: > 0 and var ms } ? ms : Snapshot.ConnectTimeoutMs;

    public long ResponseTimeoutMs => Route is { ResponseTimeoutMs: > 0 and var ms } ? ms : Snapshot.ResponseTimeoutMs;

    // ---- the request

    public RequestHead Request { get; } = new(bounds);

    /// <summary>The bytes of the request's head.</summary>
    public ReadOnlySpan<byte> Head => Client.Received[..Request.Length];

    /// <summary>The state of the body's reader after the last send.</summary>
    public BodyReader RequestBody;

    /// <summary>Bytes behind the head that belong to the body and are consumed.</summary>
    public int BodyTaken;

    /// <summary>Memory for identifiers that came percent-encoded.</summary>
    public byte[] IdentityRoom { get; } = new byte[ClientIdentifier.RoomBytes];

    /// <summary>Identifies the client; null before it was used for this request.</summary>
    public ClientIdentifier? Identifier;
    public ClientAddress? Caller;

    /// <summary>The entry of <c>clients.identify</c> that identified the client; null before that.</summary>
    public byte[]? IdentifiedBy;

    /// <summary>The header value that identified the client (empty if none). It is forwarded even if the Connection
    /// field lists it.</summary>
    public Slice IdentityValue;
    public bool PeerTrusted;

    /// <summary>The settings of the listener through which the request came.</summary>
    public ListenerSettings Listener = ListenerSettings.None;

    /// <summary>The client's connection has TLS.</summary>
    public bool IsSecure;

    /// <summary>The body of Penstock's own answer with the status 200, if it has one.</summary>
    public byte[]? OwnText;

    /// <summary>The certificate that the client has shown; null: none.</summary>
    public ClientCertificate? Certificate => _client?.Io.Tls?.Certificate;

    /// <summary>See <see cref="Snapshot.CertificateFields"/>.</summary>
    public AlikeName[] PassedNames => _snapshot?.CertificateFields ?? [];

    /// <summary>The client is exempt from all limits.</summary>
    public bool Exempt;
    public Route? Route;

    /// <summary>What the request took from its limits.</summary>
    public Admission Admission { get; } = new();

    /// <summary>The request's wait for tokens that nodes share; null: it has not waited.</summary>
    public TokenWait? Tokens;

    /// <summary>When the request first waited for tokens; -1: it has not waited.</summary>
    public long TokensBeganMs = -1;

    // ---- the attempts

    /// <summary>The backend that the client's session cookie names.</summary>
    public Backend? StickyBackend;

    /// <summary>Hash of the request's affinity key, for <c>balance: hash</c>.</summary>
    public ulong AffinityHash;

    /// <summary>The present or last attempt.</summary>
    public Attempt Current { get; private set; } = new(bounds);

    /// <summary>A second attempt at the same time. The first hedge creates it; it is reused afterwards.</summary>
    public Attempt? Rival { get; private set; }
    public bool Hedged;

    /// <summary>Backends at which an attempt of this request has failed.</summary>
    public List<Backend> Tried { get; } = [];

    /// <summary>How often the request, or a part of it, was sent, without hedges.</summary>
    public int Sends;

    /// <summary>How many of <see cref="RetryConfig.Attempts"/> are used up.</summary>
    public int RetriesUsed;

    /// <summary>Attempts before the last one in which the request was sent, for the log.</summary>
    public int Retries;

    /// <summary>A backend of which only a pooled connection was dead. If no other backend takes the request, it is sent
    /// there on a new connection.</summary>
    public Backend? StaleBackend;

    /// <summary>The next attempt does not use a pooled connection.</summary>
    public bool FreshOnly;

    /// <summary>The longest wait before the next attempt.</summary>
    public int MaxWaitMs;

    /// <summary>Relays the rest of a body that did not fit into the first send; null: there is none.</summary>
    public Upload? Upload;

    /// <summary>Bytes behind the request were lost, because they did not fit.</summary>
    public bool ExcessLost;

    /// <summary>Bytes that a socket did not accept at once. One flush at a time.</summary>
    public ByteWindow Pending;
    private SlotWait? _slot;
    private Pause? _pause;

    // ---- how it ends

    /// <summary>How the exchange ended; during a retry, how the last attempt ended.</summary>
    public Outcome Outcome;
    public HttpFault Fault;
    public int Status;

    /// <summary>Both sides speak another protocol. The client may end its direction and still receive.</summary>
    public bool IsTunnel;

    public long StartNs;

    /// <summary>When the request's head was complete.</summary>
    public long HeadNs;

    /// <summary>Its span; null: it is not traced.</summary>
    public Activity? Span;

    /// <summary>The span belongs to the client's trace.</summary>
    public bool ContinuesTrace;

    /// <summary>How long the request waited for a slot at a backend.</summary>
    public long QueuedNs;
    public long ResponseNs;

    /// <summary>Bytes of the bodies of request and response.</summary>
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

    /// <summary>How the request's body ended, if that ended the exchange; else <see cref="RelayEnd.Done"/>.</summary>
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
        (Listener, IsSecure) = (client.Port.Settings, client.Io.Tls is not null);
        StartNs = Loop.NowNs;
    }

    /// <summary>Fixes the upstream's configuration for this request to the present one.</summary>
    public void FixUpstreamConfig() => _upstreamConfig = Route!.Upstream.Config;

    /// <summary>Begins an attempt at a second backend.</summary>
    public Attempt BeginRival(Backend backend)
    {
        Rival ??= new Attempt(bounds);
        Rival.Begin(backend);
        Tracing.BeginAttempt(this, Rival);
        return Rival;
    }

    /// <summary>Exchanges the two attempts.</summary>
    public void SwapRival() => (Current, Rival) = (Rival!, Current);

    /// <summary>Ends the current attempt; see <see cref="Attempt.End"/>.</summary>
    public void EndAttempt(bool reusable)
    {
        Tracing.NoteFailure(Current, Outcome);
        Current.End(Route!.Upstream, Loop, !reusable ? 0
            : UpstreamConfig.BackendIdle is { } idle ? (long)idle.TotalMilliseconds : Snapshot.BackendIdleMs);
    }

    /// <summary>The client no longer waits for a response: ends every present wait except waits for the client's bytes.
    /// A new kind of wait must be added here. A last flush to the client continues, because it needs no
    /// backend.</summary>
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

    /// <summary>Counts and logs the exchange, and releases what it still holds. Reusable connections have been returned
    /// already.</summary>
    public void End()
    {
        Client.Counters.Count(this);
        Admission.CountDecisions(Loop.Index);
        if (ResponseNs > 0)
        {
            Route!.Upstream.ResponseTimes[Loop.Index].Add(ResponseNs - SentNs);
        }
        Caller ??= Client.PeerAddress;
        Worker.Access.Record(this, Client.Received);
        Upload?.Stop();
        if (Route is not null)
        {
            EndAttempt(reusable: false);
            Rival?.End(Route.Upstream, Loop, keepMs: 0); // it is still open only after a bug
        }
        Tracing.End(this);
        Pending.Release(Loop.Buffers);
        ReleaseTokens();
        Admission.Leave();
    }

    /// <summary>Copies the bytes that a socket did not accept, because the loop's scratch memory is overwritten after
    /// the next wait.</summary>
    /// <param name="sent">How many bytes it accepted; negative: none.</param>
    public void Keep(ReadOnlySpan<byte> bytes, int sent) => Pending.Fill(bytes[Math.Max(0, sent)..], Loop.Buffers);

    /// <summary>Gives the request a new X-Request-Id.</summary>
    public void MakeRequestId()
    {
        Span<byte> made = stackalloc byte[16];
        RequestId = made[..Worker.NewRequestId(made)];
    }

    /// <summary>Clears the exchange for another request.</summary>
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
        Listener = ListenerSettings.None;
        OwnText = null;
        IsSecure = PeerTrusted = Exempt = Hedged = FreshOnly = ExcessLost = IsTunnel = false;
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
        StartNs = HeadNs = QueuedNs = ResponseNs = BytesIn = BytesOut = 0;
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

    /// <summary>The identifier under which the request is counted. A copy, because the request's bytes may be
    /// overwritten before the log line is written.</summary>
    public ReadOnlySpan<byte> ClientName
    {
        get => _clientName.AsSpan(0, _clientNameLength);
        set
        {
            _clientNameLength = Math.Min(value.Length, _clientName.Length);
            value[.._clientNameLength].CopyTo(_clientName);
        }
    }

    /// <summary>The X-Request-Id for client, backend and log, at most <see cref="MaxRequestIdBytes"/>.</summary>
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
