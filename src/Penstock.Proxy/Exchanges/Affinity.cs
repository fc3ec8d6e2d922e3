using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>What in a request says which backend it belongs to. Pure.</summary>
internal static class Affinity
{
    /// <summary>Longer values of a parameter are hashed as they were sent.</summary>
    private const int MaxDecodedBytes = 1024;

    /// <summary>Hash of what the upstream spreads by; of the caller's address when the request has none of
    /// that.</summary>
    public static ulong KeyOf(HashSource source, ReadOnlySpan<byte> name, RequestHead request,
        ReadOnlySpan<byte> head, ClientAddress caller)
    {
        Span<byte> room = stackalloc byte[source == HashSource.Query ? MaxDecodedBytes : 0];
        ReadOnlySpan<byte> key = source switch
        {
            HashSource.Header => request.TryGet(head, name, out Stretch value) ? value.Of(head) : default,
            HashSource.Cookie => Cookie(request, head, name),
            HashSource.Query => QueryValue(request.Query.Of(head), name, room),
            HashSource.Path => request.PathOf(head),
            _ => default,
        };
        return StableHash.Of(key.IsEmpty ? caller.ClientName : key);
    }

    /// <summary>The value of the first cookie of that name (RFC 6265 §5.4); empty when there is none.</summary>
    public static ReadOnlySpan<byte> Cookie(RequestHead request, ReadOnlySpan<byte> head, ReadOnlySpan<byte> name)
    {
        foreach (ref readonly Field field in request.Fields)
        {
            if (!Ascii.EqualsIgnoreCase(field.Name.Of(head), "cookie"u8))
            {
                continue;
            }
            ReadOnlySpan<byte> rest = field.Value.Of(head);
            while (!rest.IsEmpty)
            {
                int end = rest.IndexOf((byte)';');
                ReadOnlySpan<byte> pair = Grammar.TrimSpace(end < 0 ? rest : rest[..end]);
                if (pair.Length > name.Length && pair[name.Length] == '=' && pair.StartsWith(name))
                {
                    return pair[(name.Length + 1)..];
                }
                rest = end < 0 ? default : rest[(end + 1)..];
            }
        }
        return default;
    }

    /// <summary>The first of that name, decoded: however a client encodes it, it stays at one backend.</summary>
    private static ReadOnlySpan<byte> QueryValue(ReadOnlySpan<byte> query, ReadOnlySpan<byte> name, Span<byte> room)
    {
        var parameters = new QueryParameters(query);
        while (parameters.MoveNext())
        {
            if (FormText.EqualsDecoded(parameters.Name, name))
            {
                ReadOnlySpan<byte> value = FormText.Decode(parameters.Value, room);
                return value.IsEmpty ? parameters.Value : value;
            }
        }
        return default;
    }
}
