using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Clients;

/// <summary>The client for which a request is counted. <see cref="Name"/> refers to memory of the request or the
/// connection: use it before either is reused.</summary>
internal readonly ref struct ClientIdentity
{
    /// <summary>The registered client; null for an unregistered one.</summary>
    public RegisteredClient? Registered { get; init; }
    public ReadOnlySpan<byte> Name { get; init; }

    /// <summary>Tells equal names from different sources (header, query, address) apart in the bucket table.</summary>
    public ulong Domain { get; init; }

    /// <summary>Index of the source of the name; -1: the address.</summary>
    public int Source { get; init; }

    /// <summary>The value of the header field that contained the name; empty for other sources.</summary>
    public Slice Field { get; init; }

    private readonly bool _exempt;

    /// <summary>Whether the client is exempt from all limits, by the configuration or by its terms.</summary>
    public bool Exempt
    {
        get => _exempt || Registered?.Access == ClientAccess.Exempt;
        init => _exempt = value;
    }

    /// <summary>The client is unknown, and <c>clients.unknown</c> is <c>reject</c>.</summary>
    public bool Rejected { get; init; }

    /// <summary>The request names several clients, so it is unclear which one the backend sees.</summary>
    public bool Ambiguous { get; init; }

    /// <summary>An operator has blocked the client. This takes precedence over everything else.</summary>
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

/// <summary>Identifies the client of a request by the ordered list <c>clients.identify</c>: the first source that names
/// a known client counts, then the caller's address if it is registered. An unknown identifier counts as the caller's
/// address, unless configured otherwise, so that nobody gets a new bucket by inventing a name. A request that names a
/// known client together with another in one source is ambiguous. Immutable, thread-safe.</summary>
internal sealed partial class ClientIdentifier
{
    public const int MaxIdBytes = ClientId.MaxBytes;

    /// <summary>Bytes of memory for percent-encoded identifiers of a request: the unknown one, the first of the present
    /// source, and the one just read.</summary>
    public const int RoomBytes = 3 * MaxIdBytes;

    private static readonly byte[] AddressBytes = "address"u8.ToArray();

    private readonly ClientsConfig _config;
    private readonly Limiter _limiter;
    private readonly (IdentityKind Kind, AlikeName Name)[] _sources;
    private readonly CertificatePart[] _parts; // of the sources that are certificates
    private readonly AlikeName[] _fieldNames;
    private readonly string[] _sourceNames;
    private readonly byte[][] _sourceBytes;
    private readonly IPNetwork[] _trusted;
    private readonly IPNetwork[] _exemptNetworks;
    private readonly HashSet<byte[]>.AlternateLookup<ReadOnlySpan<byte>> _exemptIds;
    private readonly bool _exemptsHashes;

    /// <summary>Identifiers are read even if no client is registered.</summary>
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
        _parts = [.. config.Identify.Select(static s => s.Part)];
        _alwaysReads = config.ExemptIds.Count > 0 || config.Unknown != UnknownClients.Address
            || config.Identify.Any(static s => s.Kind == IdentityKind.Certificate);
        Challenge = ChallengeOf(config);
    }

    public int Ipv6Prefix => _config.Ipv6Prefix;

    /// <summary>The value of WWW-Authenticate in a 401 (RFC 9110 §11.6.1). API keys have no registered
    /// scheme.</summary>
    public byte[] Challenge { get; }

    /// <summary>A source as it is written in the configuration file.</summary>
    public string SourceName(int source) => source < 0 ? "address" : _sourceNames[source];

    public byte[] SourceBytes(int source) => source < 0 ? AddressBytes : _sourceBytes[source];

    /// <param name="peer">Null for a Unix domain socket.</param>
    public bool IsTrusted(IPAddress? peer) => peer is null ? _config.TrustUnixSockets : Contains(_trusted, peer);

    /// <summary>Whether some backends would read an identifier from this field, but Penstock does not.</summary>
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

    /// <param name="caller">The address that the request came from; behind trusted proxies, the one that they
    /// saw.</param>
    /// <param name="room">Memory of <see cref="RoomBytes"/>.</param>
    /// <param name="certificate">The certificate that the client has shown; null: none.</param>
    public ClientIdentity Identify(RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller,
        Span<byte> room, ClientCertificate? certificate = null)
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
            if (_sources[i].Kind != IdentityKind.Certificate)
            {
                said.Read(_sources[i].Kind, _sources[i].Name, request, head);
            }
            else if (certificate is not null)
            {
                said.Add(certificate.Of(_parts[i]));
            }
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
        // Nobody can invent a certificate, so a client that shows one has a bucket of its own in any case.
        bool proven = unknownSource >= 0 && _sources[unknownSource].Kind == IdentityKind.Certificate
            && _config.Unknown != UnknownClients.Reject;
        if (!proven && clients.Any && clients.TryFind(caller.Ip, caller.ClientName, out RegisteredClient? address,
            out byte[]? addressId))
        {
            return new ClientIdentity { Registered = address, Name = addressId, Source = -1, Exempt = exempt };
        }
        if (proven || (unknownSource >= 0 && _config.Unknown == UnknownClients.Own))
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

    /// <summary>See https://fetch.spec.whatwg.org/#cors-preflight-request</summary>
    private static bool IsPreflight(RequestHead request, ReadOnlySpan<byte> head) => request.Method == Method.Options
        && request.TryGet(head, "origin"u8, out _) && request.TryGet(head, "access-control-request-method"u8, out _);

    /// <summary>The address of the nearest untrusted hop. X-Forwarded-For is read from right to left while the hop that
    /// wrote an entry is trusted.</summary>
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
