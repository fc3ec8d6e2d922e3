using System.Buffers;

namespace Penstock.Proxy.Http1;

/// <summary>The byte classes of RFC 9110 and 9112 that the parsers check against.</summary>
internal static class Grammar
{
    /// <summary>token = 1*tchar (RFC 9110 §5.6.2).</summary>
    public static readonly SearchValues<byte> Token = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>field-vchar, SP and HTAB (RFC 9110 §5.5): no control byte, so no CR, LF or NUL.</summary>
    public static readonly SearchValues<byte> FieldValue = SearchValues.Create(
        [(byte)'\t', .. Bytes(0x20, 0x7E), .. Bytes(0x80, 0xFF)]);

    /// <summary>Bytes of a request target: visible ASCII without <c>#</c>, which begins a fragment. RFC 3986 also
    /// excludes <c>" &lt; &gt; \ ^ ` { | }</c>, but browsers send them, so Penstock accepts them.</summary>
    public static readonly SearchValues<byte> Target = SearchValues.Create(
        [.. Bytes(0x21, 0x7E).Where(static b => b != '#')]);

    /// <summary>uri-host [ ":" port ] (RFC 9110 §7.2) without user information or percent-encoding.</summary>
    public static readonly SearchValues<byte> Host = SearchValues.Create(
        "-._~!$&'()*+,;=:[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> Ipv6Literal = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    public static bool IsToken(ReadOnlySpan<byte> bytes) => !bytes.IsEmpty && !bytes.ContainsAnyExcept(Token);

    public static bool IsHex(byte b, out int value)
    {
        value = b switch
        {
            >= (byte)'0' and <= (byte)'9' => b - '0',
            >= (byte)'a' and <= (byte)'f' => b - 'a' + 10,
            >= (byte)'A' and <= (byte)'F' => b - 'A' + 10,
            _ => -1,
        };
        return value >= 0;
    }

    /// <summary>Checks host [ ":" port ], as far as two parsers could disagree about it.</summary>
    public static bool IsAuthority(ReadOnlySpan<byte> authority)
    {
        if (authority.IsEmpty || authority.ContainsAnyExcept(Host))
        {
            return false;
        }

        int portAt;
        if (authority[0] == '[')
        {
            int close = authority.IndexOf((byte)']');
            if (close < 3 || authority[1..close].ContainsAnyExcept(Ipv6Literal))
            {
                return false;
            }
            portAt = close + 1;
        }
        else
        {
            int colon = authority.IndexOf((byte)':');
            portAt = colon < 0 ? authority.Length : colon;
            if (portAt == 0 || authority[..portAt].ContainsAny((byte)'[', (byte)']'))
            {
                return false;
            }
        }

        ReadOnlySpan<byte> port = authority[portAt..];
        return port.IsEmpty || (port[0] == ':' && port.Length <= 6 && !port[1..].ContainsAnyExceptInRange(
            (byte)'0', (byte)'9'));
    }

    /// <summary>Removes optional white space (RFC 9110 §5.6.3) at both ends.</summary>
    public static ReadOnlySpan<byte> TrimSpace(ReadOnlySpan<byte> value)
    {
        int start = 0;
        int end = value.Length;
        while (start < end && value[start] is (byte)' ' or (byte)'\t')
        {
            start++;
        }
        while (end > start && value[end - 1] is (byte)' ' or (byte)'\t')
        {
            end--;
        }
        return value[start..end];
    }

    private static IEnumerable<byte> Bytes(int first, int last) =>
        Enumerable.Range(first, last - first + 1).Select(static i => (byte)i);
}
