using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What one request and its response carry through the phases. Reused by its loop; a connection holds one only
/// from a request's first octet to its response's last. Not thread-safe.</summary>
internal sealed class Exchange(HeadBounds bounds)
{
    public HeadBounds Bounds => bounds;
    public RequestHead Request { get; } = new(bounds);
    public ResponseHead Response { get; } = new(bounds);

    /// <summary>Backends that this request was tried on in vain.</summary>
    public List<Backend> Tried { get; } = [];

    /// <summary>Room for identifiers that came percent-encoded.</summary>
    public byte[] IdentityRoom { get; } = new byte[ClientIdentifier.RoomBytes];

    /// <summary>Knows the fields that say who the client is; null before it was asked.</summary>
    public ClientIdentifier? Identifier;

    public const int MaxRequestIdBytes = 64;
    private readonly byte[] _clientName = new byte[ClientIdentifier.MaxIdBytes];
    private readonly byte[] _requestId = new byte[MaxRequestIdBytes];
    private int _clientNameLength;
    private int _requestIdLength;

    public ClientAddress? Caller;

    /// <summary>The entry of <c>clients.identify</c> that told the client; null before it was asked.</summary>
    public byte[]? ClientKey;

    /// <summary>Where the identifier stands that the request is counted under, if in a field of it: that field reaches
    /// the backend whatever the Connection field says.</summary>
    public Stretch IdentityValue;
    public Route? Route;

    /// <summary>The configuration of its upstream that was in force when a backend was first looked for: a reload
    /// meanwhile is for later requests.</summary>
    public UpstreamConfig? Upstream;
    public Backend? Backend;

    /// <summary>The backend that the client's cookie names.</summary>
    public Backend? Session;

    /// <summary>Hash of what its upstream spreads by.</summary>
    public ulong Key;

    /// <summary>What it took from its limits.</summary>
    public Admission Admission { get; } = new();

    public Outcome Outcome;
    public HttpFault Fault;
    public int Status;

    /// <summary>Requests sent to a backend and not answered before the one that was.</summary>
    public int Retries;
    public bool PeerTrusted;

    /// <summary>No limit holds its client.</summary>
    public bool Exempt;

    public long StartNs;
    public long SentNs;

    /// <summary>Since when the backend has had the whole request; 0: it has not, or its answer is counted.</summary>
    public long AskedNs;

    /// <summary>What <see cref="EventLoop.Loop.StalledNs"/> was then.</summary>
    public long AskedStalledNs;

    /// <summary>How long it waited for a place at a backend.</summary>
    public long QueuedNs;
    public long ResponseNs;

    /// <summary>Octets of body.</summary>
    public long BytesIn;
    public long BytesOut;

    public void Reset()
    {
        Request.Reset();
        Response.Reset();
        Tried.Clear();
        Caller = null;
        ClientKey = null;
        Identifier = null;
        IdentityValue = new Stretch(-1, 0);
        Route = null;
        Upstream = null;
        Backend = Session = null;
        Key = 0;
        Admission.Reset();
        _clientNameLength = _requestIdLength = Retries = Status = 0;
        Outcome = Outcome.Ok;
        Fault = HttpFault.None;
        StartNs = SentNs = AskedNs = QueuedNs = ResponseNs = BytesIn = BytesOut = 0;
        PeerTrusted = Exempt = false;
    }

    /// <summary>The route's own, or its upstream's.</summary>
    public RetryConfig RetryConfig => Route!.Config.Retries ?? Upstream!.Retries;

    /// <summary>The identifier that the request was counted under; a copy, because the octets it came in may be
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
