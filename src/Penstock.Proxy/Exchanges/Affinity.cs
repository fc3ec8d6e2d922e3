using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Reads from a request which backend it belongs to. Pure.</summary>
internal static class Affinity
{
    /// <summary>Longer parameter values are hashed as they were sent, without decoding.</summary>
    private const int MaxDecodedBytes = 1024;

    /// <summary>At most this many cookies of one name are read.</summary>
    private const int MaxCookies = 16;

    /// <summary>The hash of the request's affinity key, and the backend that the session cookie names.</summary>
    public static (ulong Key, Backend? Session) Of(RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller,
        Upstream upstream, UpstreamConfig config) => (
        config.Balance != BalanceAlgorithm.Hash ? 0
            : KeyOf(config.Hash.Source, upstream.HashName, request, head, caller),
        config.Sticky is null ? null : FindStickyBackend(request, head, upstream));

    /// <summary>Hash of the request's affinity key; of the caller's address when the request does not have the
    /// key.</summary>
    private static ulong KeyOf(HashSource source, ReadOnlySpan<byte> name, RequestHead request,
        ReadOnlySpan<byte> head, ClientAddress caller)
    {
        Span<byte> room = stackalloc byte[source == HashSource.Query ? MaxDecodedBytes : 0];
        ReadOnlySpan<byte> key = source switch
        {
            HashSource.Header => request.TryGet(head, name, out Slice value) ? value.Of(head) : default,
            HashSource.Cookie => TryCookie(request, head, name, 0, out ReadOnlySpan<byte> cookie) ? cookie : default,
            HashSource.Query => QueryValue(request.Query.Of(head), name, room),
            HashSource.Path => request.PathOf(head),
            _ => default,
        };
        return StableHash.Of(key.IsEmpty ? caller.ClientName : key);
    }

    /// <summary>The backend that a session cookie of the request names. A browser may send several cookies of the name,
    /// from other paths or domains; the first valid one counts.</summary>
    private static Backend? FindStickyBackend(RequestHead request, ReadOnlySpan<byte> head, Upstream upstream)
    {
        ReadOnlySpan<byte> name = upstream.CookieName;
        for (int nth = 0; nth < MaxCookies; nth++)
        {
            if (!TryCookie(request, head, name, nth, out ReadOnlySpan<byte> value))
            {
                break;
            }
            if (upstream.FindStickyBackend(value) is { } session)
            {
                return session;
            }
        }
        return null;
    }

    /// <summary>The value of the n-th cookie of this name, from 0 (RFC 6265 §5.4).</summary>
    private static bool TryCookie(RequestHead request, ReadOnlySpan<byte> head, ReadOnlySpan<byte> name, int nth,
        out ReadOnlySpan<byte> value)
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
                if (pair.Length > name.Length && pair[name.Length] == '=' && pair.StartsWith(name) && nth-- == 0)
                {
                    value = pair[(name.Length + 1)..];
                    return true;
                }
                rest = end < 0 ? default : rest[(end + 1)..];
            }
        }
        value = default;
        return false;
    }

    /// <summary>The first parameter of this name, decoded, so that every encoding leads to the same backend.</summary>
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
