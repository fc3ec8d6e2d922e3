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
    public Stretch Field { get; init; }

    /// <summary>No limit holds it.</summary>
    public bool Exempt { get; init; }

    public AdmissionRequest For(ClientAddress caller) => new()
    {
        Registered = Registered,
        Client = Name,
        Domain = Domain,
        Address = caller.ClientName,
    };
}

/// <summary>Tells the client of a request by the operator's ordered list: the first source that the request has counts.
/// An identifier that nobody registered counts as the caller's address, unless configured otherwise, so nobody gets a
/// fresh bucket by inventing a name. Immutable, thread-safe.</summary>
internal sealed class ClientIdentifier(ClientsConfig config, Limiter limiter)
{
    /// <summary>Longer identifiers are not looked up.</summary>
    public const int MaxIdBytes = 256;

    private readonly (IdentityKind Kind, byte[] Name)[] _sources =
        [.. config.Identify.Select(static s => (s.Kind, Encoding.UTF8.GetBytes(s.Name)))];

    private static readonly byte[] AddressOctets = "address"u8.ToArray();

    private readonly string[] _sourceNames = [.. config.Identify.Select(static s => s.ToString())];
    private readonly byte[][] _sourceOctets =
        [.. config.Identify.Select(static s => Encoding.UTF8.GetBytes(s.ToString()))];

    private readonly IPNetwork[] _trusted = [.. config.TrustedProxies];
    private readonly IPNetwork[] _exemptNetworks = [.. config.ExemptNetworks];
    private readonly HashSet<byte[]>.AlternateLookup<ReadOnlySpan<byte>> _exemptIds =
        new HashSet<byte[]>(config.ExemptIds.Select(Encoding.UTF8.GetBytes), limiter.IdComparer)
            .GetAlternateLookup<ReadOnlySpan<byte>>();

    private readonly bool _exemptsHashes =
        config.ExemptIds.Any(static id => HashedKey.IsHash(Encoding.UTF8.GetBytes(id)));


    public int Ipv6Prefix => config.Ipv6Prefix;

    /// <summary>A source as the operator wrote it.</summary>
    public string SourceName(int source) => source < 0 ? "address" : _sourceNames[source];

    public byte[] SourceOctets(int source) => source < 0 ? AddressOctets : _sourceOctets[source];

    public bool IsTrusted(IPAddress? peer) => Contains(_trusted, peer);

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
    /// <param name="decoded">Room of <see cref="MaxIdBytes"/> for an identifier that is percent-encoded.</param>
    public ClientIdentity Identify(RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller,
        Span<byte> decoded)
    {
        bool exempt = _exemptNetworks.Length > 0 && Contains(_exemptNetworks, caller.Ip);
        for (int i = 0; i < _sources.Length; i++)
        {
            (IdentityKind kind, byte[] name) = _sources[i];
            if (kind == IdentityKind.Address)
            {
                break;
            }
            Stretch field = default;
            ReadOnlySpan<byte> id = kind == IdentityKind.Query ? QueryValue(request.Query.Of(head), name, decoded)
                : request.TryGet(head, name, out field) ? field.Of(head) : default;
            if (id.IsEmpty)
            {
                continue;
            }
            if (TryKnow(ref id, out RegisteredClient? client, out bool exemptId))
            {
                return new ClientIdentity
                {
                    Registered = client, Name = id, Field = field, Source = i, Exempt = exempt || exemptId,
                };
            }
            if (config.UnknownGetsOwnBucket)
            {
                return new ClientIdentity
                {
                    Name = id, Domain = (ulong)i + 1, Field = field, Source = i, Exempt = exempt,
                };
            }
            break;
        }
        return new ClientIdentity
        {
            Registered = limiter.AnyRegistered && limiter.TryFind(caller.ClientName, out RegisteredClient? known)
                ? known : null,
            Name = caller.ClientName,
            Source = -1,
            Exempt = exempt,
        };
    }

    /// <summary>Is it a client that somebody registered or exempted, by its id or by the hash of it?</summary>
    /// <param name="id">Afterwards what the client is called: never a key whose hash is registered.</param>
    private bool TryKnow(ref ReadOnlySpan<byte> id, out RegisteredClient? client, out bool exempt)
    {
        client = null;
        exempt = false;
        // An address is told by the connection, not by what somebody writes into a field; and who has seen the hash of
        // a key does not have the key.
        if (id.Length > MaxIdBytes || HashedKey.IsHash(id))
        {
            return false;
        }
        exempt = _exemptIds.Contains(id);
        if (limiter.TryFind(id, out client) && !client.IsAddress)
        {
            return true;
        }
        client = null;
        if (exempt || !(limiter.AnyHashed || _exemptsHashes))
        {
            return exempt;
        }
        Span<byte> hash = stackalloc byte[HashedKey.Length];
        HashedKey.Write(id, hash);
        exempt = _exemptIds.TryGetValue(hash, out byte[]? exempted);
        bool registered = limiter.TryFind(hash, out client, out byte[]? known);
        id = registered ? known : exempt ? exempted : id;
        return registered || exempt;
    }

    /// <summary>The address that the nearest untrusted hop came from: X-Forwarded-For is read from its right end as
    /// long as the hop that wrote it is trusted.</summary>
    public ClientAddress Caller(RequestHead request, ReadOnlySpan<byte> head, ClientAddress peer)
    {
        if (_trusted.Length == 0 || !IsTrusted(peer.Ip))
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
                if (!TryParseHop(Grammar.TrimSpace(rest[(comma + 1)..]), out IPAddress? hop))
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

    private static bool TryParseHop(ReadOnlySpan<byte> text, out IPAddress? address)
    {
        // Some proxies write the port, too.
        if (IPAddress.TryParse(text, out address))
        {
            return true;
        }
        bool parsed = IPEndPoint.TryParse(Encoding.ASCII.GetString(text), out IPEndPoint? endPoint);
        address = endPoint?.Address;
        return parsed;
    }

    private static ReadOnlySpan<byte> QueryValue(ReadOnlySpan<byte> query, ReadOnlySpan<byte> name,
        Span<byte> decoded)
    {
        while (!query.IsEmpty)
        {
            int end = query.IndexOf((byte)'&');
            ReadOnlySpan<byte> pair = end < 0 ? query : query[..end];
            if (pair.Length > name.Length && pair[name.Length] == '=' && pair.StartsWith(name))
            {
                ReadOnlySpan<byte> value = pair[(name.Length + 1)..];
                return value.IndexOfAny((byte)'%', (byte)'+') < 0 ? value : Decode(value, decoded);
            }
            query = end < 0 ? default : query[(end + 1)..];
        }
        return default;
    }

    private static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> value, Span<byte> decoded)
    {
        int written = 0;
        for (int i = 0; i < value.Length; i++)
        {
            if (written == decoded.Length)
            {
                return value;
            }
            byte octet = value[i];
            if (octet == '%' && i + 2 < value.Length && Grammar.IsHex(value[i + 1], out int high)
                && Grammar.IsHex(value[i + 2], out int low))
            {
                octet = (byte)((high << 4) | low);
                i += 2;
            }
            else if (octet == '+')
            {
                octet = (byte)' ';
            }
            decoded[written++] = octet;
        }
        return decoded[..written];
    }
}
