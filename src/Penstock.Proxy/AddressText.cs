using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Penstock.Proxy;

/// <summary>Addresses as text. The framework's parser accepts much more than addresses: <c>42</c>, <c>1.2</c> and
/// <c>010.0.0.1</c> (octal, 8.0.0.1), brackets, zones, ports. An API key may look like this, and other programs read
/// such texts differently. Therefore that parser is banned, and only this class calls it. Pure.</summary>
public static class AddressText
{
    /// <summary>Bytes of the longest address with its prefix: IPv6 that ends in an IPv4 address.</summary>
    private const int MaxBytes = 45 + 4;

    private const int MappedBits = 96;

    private static readonly SearchValues<byte> Ipv6Bytes = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    /// <summary>Parses an address in a spelling that all programs read alike: four decimal numbers without leading
    /// zeros, or IPv6 without brackets and zone. IPv4 within IPv6 (<c>::ffff:192.0.2.1</c>) becomes IPv4.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[MaxBytes];
        address = null;
        return text.Length <= MaxBytes && Ascii.IsValid(text)
            && TryParse(bytes[..Encoding.ASCII.GetBytes(text, bytes)], out address);
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{char}, out IPAddress?)"/>
    internal static bool TryParse(ReadOnlySpan<byte> text, [NotNullWhen(true)] out IPAddress? address)
    {
        bool parsed = TryParseAsWritten(text, out address);
        address = parsed ? Unmapped(address!) : null;
        return parsed;
    }

    /// <summary>Parses an address to listen on or to connect to: as
    /// <see cref="TryParse(ReadOnlySpan{char}, out IPAddress?)"/>, and also IPv6 with its zone,
    /// <c>fe80::1%eth0</c>.</summary>
    public static bool TryParseScoped(string text, [NotNullWhen(true)] out IPAddress? address)
    {
        ArgumentNullException.ThrowIfNull(text);
        int zone = text.IndexOf('%', StringComparison.Ordinal);
        return zone < 0 ? TryParse(text, out address)
            : TryParse(text.AsSpan(0, zone), out address) && address.AddressFamily == AddressFamily.InterNetworkV6
                && Framework(text, out address);
    }

    /// <summary>Parses an address with or without a port, as some proxies write it: <c>192.0.2.1:80</c>,
    /// <c>[2001:db8::1]:80</c>.</summary>
    internal static bool TryParseWithPort(ReadOnlySpan<byte> text, [NotNullWhen(true)] out IPAddress? address)
    {
        if (TryParse(text, out address))
        {
            return true;
        }
        int end = text.StartsWith("["u8) ? text.IndexOf((byte)']') : text.IndexOf((byte)':');
        if (end <= 0)
        {
            return false;
        }
        bool bracketed = text[0] == '[';
        ReadOnlySpan<byte> port = text[(bracketed ? end + 1 : end)..];
        ReadOnlySpan<byte> host = bracketed ? text[1..end] : text[..end];
        return (port.IsEmpty || (port[0] == ':' && port.Length is > 1 and <= 6
                && port[1..].IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0))
            && host.Contains((byte)':') == bracketed && TryParse(host, out address);
    }

    /// <summary>Parses a network or one address. Bits beyond the prefix become zero; to detect them, compare
    /// <see cref="Canonical"/> with the text.</summary>
    public static bool TryParseNetwork(ReadOnlySpan<char> text, out IPNetwork network)
    {
        network = default;
        int slash = text.IndexOf('/');
        Span<byte> bytes = stackalloc byte[MaxBytes];
        ReadOnlySpan<char> host = slash < 0 ? text : text[..slash];
        if (host.Length > MaxBytes || !Ascii.IsValid(host)
            || !TryParseAsWritten(bytes[..Encoding.ASCII.GetBytes(host, bytes)], out IPAddress? address))
        {
            return false;
        }
        int bits = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        int length = bits;
        if (slash >= 0 && !TryLength(text[(slash + 1)..], bits, out length))
        {
            return false;
        }
        if (address.IsIPv4MappedToIPv6 && length >= MappedBits)
        {
            address = address.MapToIPv4();
            length -= MappedBits;
        }
        network = new IPNetwork(Masked(address, length), length);
        return true;
    }

    /// <summary>The canonical spelling of an address or network, under which requests are counted; null when the text
    /// is neither.</summary>
    public static string? Canonical(string text)
    {
        if (!TryParseNetwork(text, out IPNetwork network))
        {
            return null;
        }
        int bits = network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        return network.PrefixLength == bits ? network.BaseAddress.ToString() : network.ToString();
    }

    /// <summary>The form of clients' addresses in logs and header fields: IPv4 within IPv6 as IPv4, and without the
    /// zone, which has a meaning only on this machine.</summary>
    internal static IPAddress Plain(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 && address.ScopeId != 0
            ? new IPAddress(address.GetAddressBytes()) : Unmapped(address);

    internal static byte[] Format(IPAddress address)
    {
        Span<byte> text = stackalloc byte[64];
        address.TryFormat(text, out int written);
        return text[..written].ToArray();
    }

    /// <summary>The first <paramref name="length"/> bits of an address; the others are zero.</summary>
    internal static IPAddress Masked(IPAddress address, int length)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int written);
        for (int bit = length; bit < written * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }
        return new IPAddress(bytes[..written]);
    }

    private static IPAddress Unmapped(IPAddress address) =>
        address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private static bool TryParseAsWritten(ReadOnlySpan<byte> text, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        if (!text.Contains((byte)':'))
        {
            return IsIpv4(text) && Framework(text, out address);
        }
        return !text.ContainsAnyExcept(Ipv6Bytes)
            && (!text.Contains((byte)'.') || IsIpv4(text[(text.LastIndexOf((byte)':') + 1)..]))
            && Framework(text, out address);
    }

    private static bool IsIpv4(ReadOnlySpan<byte> text)
    {
        int parts = 0;
        foreach (Range range in text.Split((byte)'.'))
        {
            ReadOnlySpan<byte> part = text[range];
            if (++parts > 4 || part.Length is < 1 or > 3 || (part[0] == '0' && part.Length > 1)
                || part.IndexOfAnyExceptInRange((byte)'0', (byte)'9') >= 0
                || (part.Length == 3 && part.SequenceCompareTo("255"u8) > 0))
            {
                return false;
            }
        }
        return parts == 4;
    }

    private static bool TryLength(ReadOnlySpan<char> text, int most, out int length)
    {
        length = 0;
        foreach (char digit in text)
        {
            length = (length * 10) + (digit - '0');
            if (!char.IsAsciiDigit(digit) || length > most)
            {
                return false;
            }
        }
        return text.Length is 1 or 2 or 3 && (text.Length == 1 || text[0] != '0');
    }

#pragma warning disable RS0030 // the only callers of the framework's parser, after the checks above
    private static bool Framework(ReadOnlySpan<byte> text, [NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(text, out address);

    private static bool Framework(string text, [NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(text, out address);
#pragma warning restore RS0030
}
