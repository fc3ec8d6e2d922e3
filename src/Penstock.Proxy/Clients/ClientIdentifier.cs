using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <summary>Who a request is counted for. <see cref="Name"/> points into the request or the connection: use it before
/// either is reused.</summary>
internal readonly ref struct ClientIdentity
{
    /// <summary>Null for a client without a setting of its own.</summary>
    public RegisteredClient? Registered { get; init; }
    public ReadOnlySpan<byte> Name { get; init; }

    /// <summary>Keeps a header's "a" and a query's "a" and an address "a" apart in the table.</summary>
    public ulong Domain { get; init; }

    /// <summary>Number of the source that the name is from; -1 for the address.</summary>
    public int Source { get; init; }

    /// <summary>The value of the field that the name is from; empty when it is from elsewhere.</summary>
    public Slice Field { get; init; }

    private readonly bool _exempt;

    /// <summary>No limit holds it: so the configuration says, or what is set for the client.</summary>
    public bool Exempt
    {
        get => _exempt || Registered?.Access == ClientAccess.Exempt;
        init => _exempt = value;
    }

    /// <summary>It is not known, and the operator wants no strangers.</summary>
    public bool Rejected { get; init; }

    /// <summary>It names several clients: which one the backend sees, nobody can tell.</summary>
    public bool Ambiguous { get; init; }

    /// <summary>No request of it is admitted, whatever else is said of it.</summary>
    public bool Blocked => Registered?.Access == ClientAccess.Blocked;

    public AdmissionRequest For(ClientAddress caller, bool mayWait = false, LeasedBucket? prepaid = null) => new()
    {
        MayWait = mayWait,
        Prepaid = prepaid,
        Registered = Registered,
        Client = Name,
        Domain = Domain,
        Address = caller.ClientName,
    };
}

/// <summary>Tells the client of a request by the operator's ordered list: the first source that names a known client
/// counts, then the caller's address if that is registered. What nobody registered counts as the caller's address,
/// unless configured otherwise, so nobody gets a fresh bucket by inventing a name. A request that names a known client
/// together with another in one source is ambiguous. Immutable, thread-safe.</summary>
internal sealed partial class ClientIdentifier
{
    public const int MaxIdBytes = ClientId.MaxBytes;

    /// <summary>Bytes of room that identifying a request takes, for what comes percent-encoded: the identifier that is
    /// not known, the first of the source that is read, and the one just read.</summary>
    public const int RoomBytes = 3 * MaxIdBytes;

    private static readonly byte[] AddressBytes = "address"u8.ToArray();

    private readonly ClientsConfig _config;
    private readonly Limiter _limiter;
    private readonly (IdentityKind Kind, AlikeName Name)[] _sources;
    private readonly AlikeName[] _fieldNames;
    private readonly string[] _sourceNames;
    private readonly byte[][] _sourceBytes;
    private readonly IPNetwork[] _trusted;
    private readonly IPNetwork[] _exemptNetworks;
    private readonly HashSet<byte[]>.AlternateLookup<ReadOnlySpan<byte>> _exemptIds;
    private readonly bool _exemptsHashes;

    /// <summary>Identifiers matter although no client is registered.</summary>
    private readonly bool _alwaysReads;

    public ClientIdentifier(ClientsConfig config, Limiter limiter)
    {
        (_config, _limiter) = (config, limiter);
        _sources = [.. config.Identify.Select(static s => (s.Kind, new AlikeName(s.Name)))];
        _fieldNames = [.. _sources.Where(static s => s.Kind == IdentityKind.Header).Select(static s => s.Name)];
        _sourceNames = [.. config.Identify.Select(static s => s.ToString())];
        _sourceBytes = [.. _sourceNames.Select(Encoding.UTF8.GetBytes)];
        _trusted = [.. config.TrustedProxies];
        _exemptNetworks = [.. config.ExemptNetworks];
        _exemptIds = new HashSet<byte[]>(config.ExemptIds.Select(Encoding.UTF8.GetBytes), limiter.IdComparer)
            .GetAlternateLookup<ReadOnlySpan<byte>>();
        _exemptsHashes = config.ExemptIds.Any(static id => HashedKey.IsHash(Encoding.UTF8.GetBytes(id)));
        _alwaysReads = config.ExemptIds.Count > 0 || config.Unknown != UnknownClients.Address;
        Challenge = ChallengeOf(config);
    }

    public int Ipv6Prefix => _config.Ipv6Prefix;

    /// <summary>The WWW-Authenticate field of who must say who he is (RFC 9110 §11.6.1). API keys have no registered
    /// scheme.</summary>
    public byte[] Challenge { get; }

    /// <summary>A source as the operator wrote it.</summary>
    public string SourceName(int source) => source < 0 ? "address" : _sourceNames[source];

    public byte[] SourceBytes(int source) => source < 0 ? AddressBytes : _sourceBytes[source];

    /// <param name="peer">Null behind a Unix domain socket.</param>
    public bool IsTrusted(IPAddress? peer) => peer is null ? _config.TrustUnixSockets : Contains(_trusted, peer);

    /// <summary>A field that some backend would take for one that carries an identifier, and we would not.</summary>
    public bool IsLookalikeField(ReadOnlySpan<byte> name)
    {
        foreach (AlikeName field in _fieldNames)
        {
            if (field.IsLookalikeField(name))
            {
                return true;
            }
        }
        return false;
    }

    private static bool Contains(IPNetwork[] networks, IPAddress? address)
    {
        foreach (IPNetwork network in networks)
        {
            if (address is not null && network.Contains(address))
            {
                return true;
            }
        }
        return false;
    }

    /// <param name="caller">The address the request came from, behind trusted proxies the one they saw.</param>
    /// <param name="room">Of <see cref="RoomBytes"/>.</param>
    public ClientIdentity Identify(RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller, Span<byte> room)
    {
        bool exempt = (_exemptNetworks.Length > 0 && Contains(_exemptNetworks, caller.Ip))
            || (_config.ExemptPreflights && IsPreflight(request, head));
        ReadOnlySpan<byte> unknown = default;
        Slice unknownField = default;
        int unknownSource = -1;
        int sources = _alwaysReads || _limiter.Clients.Any ? _sources.Length : 0;
        for (int i = 0; i < sources && _sources[i].Kind != IdentityKind.Address; i++)
        {
            var said = new SourceReading(this, room);
            said.Read(_sources[i].Kind, _sources[i].Name, request, head);
            if (said.Ambiguous && !exempt)
            {
                return new ClientIdentity { Name = caller.ClientName, Source = -1, Ambiguous = true };
            }
            if (said.Known)
            {
                return new ClientIdentity
                {
                    Registered = said.Client, Name = said.Name, Field = said.Field, Source = i,
                    Exempt = exempt || said.Exempt,
                };
            }
            if (unknownSource < 0 && !said.First.IsEmpty)
            {
                (unknownSource, unknownField) = (i, said.Field);
                unknown = said.KeepFirst();
            }
        }
        ClientBuckets clients = _limiter.Clients;
        if (clients.Any && clients.TryFind(caller.Ip, caller.ClientName, out RegisteredClient? address,
            out byte[]? addressId))
        {
            return new ClientIdentity { Registered = address, Name = addressId, Source = -1, Exempt = exempt };
        }
        if (unknownSource >= 0 && _config.Unknown == UnknownClients.Own)
        {
            return new ClientIdentity
            {
                Name = unknown, Domain = (ulong)unknownSource + 1, Field = unknownField, Source = unknownSource,
                Exempt = exempt,
            };
        }
        return new ClientIdentity
        {
            Name = caller.ClientName, Source = -1, Exempt = exempt,
            Rejected = !exempt && _config.Unknown == UnknownClients.Reject,
        };
    }

    /// <summary>https://fetch.spec.whatwg.org/#cors-preflight-request</summary>
    private static bool IsPreflight(RequestHead request, ReadOnlySpan<byte> head) => request.Method == Method.Options
        && request.TryGet(head, "origin"u8, out _) && request.TryGet(head, "access-control-request-method"u8, out _);

    /// <summary>The address that the nearest untrusted hop came from: X-Forwarded-For is read from its right end as
    /// long as the hop that wrote it is trusted.</summary>
    public ClientAddress Caller(RequestHead request, ReadOnlySpan<byte> head, ClientAddress peer)
    {
        if (!IsTrusted(peer.Ip))
        {
            return peer;
        }
        IPAddress? caller = null;
        for (int i = request.Fields.Length - 1; i >= 0; i--)
        {
            if (request.Fields[i].Known != FieldName.XForwardedFor)
            {
                continue;
            }
            ReadOnlySpan<byte> rest = request.Fields[i].Value.Of(head);
            while (!rest.IsEmpty)
            {
                int comma = rest.LastIndexOf((byte)',');
                if (!AddressText.TryParseWithPort(Grammar.TrimSpace(rest[(comma + 1)..]), out IPAddress? hop))
                {
                    return Result(caller);
                }
                caller = hop;
                if (!IsTrusted(hop))
                {
                    return Result(caller);
                }
                rest = comma < 0 ? default : rest[..comma];
            }
        }
        return Result(caller);

        ClientAddress Result(IPAddress? address) =>
            address is null ? peer : new ClientAddress(new IPEndPoint(address, 0), Ipv6Prefix);
    }

    private static byte[] ChallengeOf(ClientsConfig config) =>
        config.Identify.Any(static s => s.Kind == IdentityKind.Header
            && s.Name.Equals("Authorization", StringComparison.OrdinalIgnoreCase))
            ? "Bearer realm=\"penstock\""u8.ToArray() : "ApiKey realm=\"penstock\""u8.ToArray();
}
