using System.Text;

namespace Penstock.Proxy.Http1;

/// <summary>The header fields that Penstock must understand. All others are only forwarded.</summary>
internal enum FieldName : byte
{
    Other,

    /// <summary>A known name with an underscore in place of a hyphen. CGI-like backends cannot tell the two apart, so
    /// it is not forwarded (nginx drops every name with an underscore).</summary>
    Lookalike,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    Upgrade,
    Expect,
    MaxForwards,
    Date,
    Via,
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XRequestId,
    RateLimit,
    RateLimitPolicy,
    XRateLimitLimit,
    XRateLimitRemaining,
    XRateLimitReset,

    /// <summary>Any other field in which proxies describe the original request to backends, such as
    /// <c>X-Forwarded-Prefix</c> and <c>X-Real-IP</c>.</summary>
    Hearsay,
}

internal static class FieldNames
{
    /// <summary>The longest known name.</summary>
    private const int MaxKnownBytes = 24;

    public static FieldName Of(ReadOnlySpan<byte> name)
    {
        FieldName field = OfExact(name);
        if (field != FieldName.Other || !name.Contains((byte)'_'))
        {
            return field;
        }
        name = name[..Math.Min(name.Length, MaxKnownBytes + 1)];
        Span<byte> hyphens = stackalloc byte[MaxKnownBytes + 1];
        name.Replace(hyphens, (byte)'_', (byte)'-');
        return OfExact(hyphens[..name.Length]) == FieldName.Other ? FieldName.Other : FieldName.Lookalike;
    }

    private static FieldName OfExact(ReadOnlySpan<byte> name) =>
        OfLength(name) is not FieldName.Other and var known ? known
        : name.Length >= 8 && (name[0] | 0x20) is 'x' or 't' or 'f' && IsHearsay(name) ? FieldName.Hearsay
        : FieldName.Other;

    /// <summary>Fields of single vendors, such as CF-Connecting-IP, do not count: an operator behind that vendor lists
    /// it in <c>trusted_proxies</c>, and for all others they have no meaning.</summary>
    private static bool IsHearsay(ReadOnlySpan<byte> name) => (name.Length > 12 && name[1] == '-'
        && Ascii.EqualsIgnoreCase(name[..12], "x-forwarded-"u8)) || name.Length switch
        {
            8 => Ascii.EqualsIgnoreCase(name, "x-scheme"u8),
            9 => Ascii.EqualsIgnoreCase(name, "x-real-ip"u8),
            11 => Ascii.EqualsIgnoreCase(name, "x-client-ip"u8) || Ascii.EqualsIgnoreCase(name, "x-forwarded"u8),
            12 => Ascii.EqualsIgnoreCase(name, "x-url-scheme"u8),
            13 => Ascii.EqualsIgnoreCase(name, "forwarded-for"u8) || Ascii.EqualsIgnoreCase(name, "x-rewrite-url"u8),
            14 => Ascii.EqualsIgnoreCase(name, "true-client-ip"u8) || Ascii.EqualsIgnoreCase(name, "x-original-url"u8),
            15 => Ascii.EqualsIgnoreCase(name, "front-end-https"u8)
                || Ascii.EqualsIgnoreCase(name, "x-original-host"u8),
            19 => Ascii.EqualsIgnoreCase(name, "x-cluster-client-ip"u8),
            24 => Ascii.EqualsIgnoreCase(name, "x-original-forwarded-for"u8),
            _ => false,
        };

    /// <summary>Compares the length first, so that an unknown field costs at most one comparison.</summary>
    private static FieldName OfLength(ReadOnlySpan<byte> name) => name.Length switch
    {
        2 => Is(name, "te"u8, FieldName.Te),
        3 => Is(name, "via"u8, FieldName.Via),
        4 => (name[0] | 0x20) == 'h' ? Is(name, "host"u8, FieldName.Host) : Is(name, "date"u8, FieldName.Date),
        6 => Is(name, "expect"u8, FieldName.Expect),
        7 => (name[0] | 0x20) == 'u' ? Is(name, "upgrade"u8, FieldName.Upgrade)
            : Is(name, "trailer"u8, FieldName.Trailer),
        9 => (name[0] | 0x20) == 'f' ? Is(name, "forwarded"u8, FieldName.Forwarded)
            : Is(name, "ratelimit"u8, FieldName.RateLimit),
        10 => (name[0] | 0x20) == 'c' ? Is(name, "connection"u8, FieldName.Connection)
            : Is(name, "keep-alive"u8, FieldName.KeepAlive),
        12 => (name[0] | 0x20) == 'x' ? Is(name, "x-request-id"u8, FieldName.XRequestId)
            : Is(name, "max-forwards"u8, FieldName.MaxForwards),
        14 => Is(name, "content-length"u8, FieldName.ContentLength),
        15 => Is(name, "x-forwarded-for"u8, FieldName.XForwardedFor),
        16 => (name[0] | 0x20) switch
        {
            'x' => Is(name, "x-forwarded-host"u8, FieldName.XForwardedHost),
            'p' => Is(name, "proxy-connection"u8, FieldName.ProxyConnection),
            _ => Is(name, "ratelimit-policy"u8, FieldName.RateLimitPolicy),
        },
        17 => (name[0] | 0x20) == 't' ? Is(name, "transfer-encoding"u8, FieldName.TransferEncoding)
            : (name[2] | 0x20) == 'f' ? Is(name, "x-forwarded-proto"u8, FieldName.XForwardedProto)
            : (name[12] | 0x20) == 'l' ? Is(name, "x-ratelimit-limit"u8, FieldName.XRateLimitLimit)
            : Is(name, "x-ratelimit-reset"u8, FieldName.XRateLimitReset),
        21 => Is(name, "x-ratelimit-remaining"u8, FieldName.XRateLimitRemaining),
        _ => FieldName.Other,
    };

    /// <summary>Fields for one hop only (RFC 9110 §7.6.1), which are never forwarded; also Content-Length and
    /// Transfer-Encoding, which are written from the parsed framing, and Host, from the parsed authority.</summary>
    public static bool IsRewritten(FieldName name) =>
        name is >= FieldName.Lookalike and <= FieldName.Upgrade;

    /// <summary>Fields that a Connection field cannot remove, because backends rely on them for identity, limits or
    /// framing ("hop-by-hop abuse").</summary>
    public static bool IsProtected(FieldName name) => name is FieldName.Host or FieldName.ContentLength
        or FieldName.TransferEncoding or FieldName.XForwardedFor or FieldName.XForwardedProto
        or FieldName.XForwardedHost or FieldName.XRequestId or FieldName.Via or FieldName.Forwarded
        or FieldName.Hearsay;

    /// <summary>Fields that an operator may set, add and remove.</summary>
    public static bool IsEditable(FieldName name) => name is FieldName.Other or FieldName.Hearsay
        or FieldName.XRateLimitLimit or FieldName.XRateLimitRemaining or FieldName.XRateLimitReset;

    private static FieldName Is(ReadOnlySpan<byte> name, ReadOnlySpan<byte> lower, FieldName field) =>
        Ascii.EqualsIgnoreCase(name, lower) ? field : FieldName.Other;
}
