using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Hides the values of a query's parameters that are credentials: those that identify a client, and those that
/// have a usual name of a credential. Immutable, thread-safe.</summary>
internal sealed class QueryMask(IEnumerable<IdentitySource> sources)
{
    /// <summary>Names that backends use for credentials.</summary>
    private static readonly string[] Usual =
    [
        "access_token", "api_key", "apikey", "auth", "auth_token", "authorization", "client_assertion", "client_secret",
        "code", "id_token", "jwt", "key", "pass", "passwd", "password", "pwd", "refresh_token", "samlresponse",
        "secret", "session", "session_id", "sessionid", "sig", "signature", "subscription_key", "token",
        "x_amz_security_token", "x_amz_signature", "x_api_key", "x_goog_signature",
    ];

    private readonly AlikeName[] _names =
    [
        .. sources.Where(static source => source.Kind == IdentityKind.Query).Select(static source => source.Name)
            .Concat(Usual).Select(static name => new AlikeName(name)),
    ];

    /// <summary>Copies the query, with stars in place of credentials.</summary>
    /// <param name="room">Twice as long as the query.</param>
    /// <returns>The part of the room that was written.</returns>
    public ReadOnlySpan<byte> Write(ReadOnlySpan<byte> query, Span<byte> room)
    {
        var masked = new HeadWriter(room);
        while (!query.IsEmpty)
        {
            // Some servers separate parameters by semicolons too.
            int end = query.IndexOfAny((byte)'&', (byte)';');
            ReadOnlySpan<byte> pair = end < 0 ? query : query[..end];
            int equals = pair.IndexOf((byte)'=');
            if (equals >= 0 && equals < pair.Length - 1 && IsCredential(pair[..equals]))
            {
                masked.Add(pair[..(equals + 1)]);
                masked.Add("***"u8);
            }
            else
            {
                masked.Add(pair);
            }
            masked.Add(end < 0 ? default : query.Slice(end, 1));
            query = end < 0 ? default : query[(end + 1)..];
        }
        return room[..masked.Length];
    }

    private bool IsCredential(ReadOnlySpan<byte> name)
    {
        foreach (AlikeName known in _names)
        {
            if (known.IsParameter(name))
            {
                return true;
            }
        }
        return false;
    }
}
