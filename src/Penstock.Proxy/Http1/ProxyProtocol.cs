using System.Buffers.Binary;
using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;

namespace Penstock.Proxy.Http1;

/// <summary>The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.6/doc/proxy-protocol.txt): a header before the
/// first request that names the client of the proxy in front. Pure; strict, because a forged header would let a client
/// choose its address.</summary>
internal static class ProxyProtocol
{
    /// <summary>Bytes of the longest header that Penstock writes, which is also the longest version 1 header.</summary>
    public const int MaxWriteBytes = 107;

    /// <summary>Maximum number of bytes of addresses and extensions in version 2.</summary>
    private const int MaxV2Bytes = 4096;
    private const int V2HeadBytes = 16;

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <param name="consumed">Bytes of the header, when it is complete.</param>
    /// <param name="source">The client's address; null when the header has none (LOCAL, UNKNOWN, other families). Then
    /// the client is the peer itself.</param>
    public static ParseStatus Parse(ReadOnlySpan<byte> bytes, out int consumed, out IPEndPoint? source)
    {
        consumed = 0;
        source = null;
        int known = Math.Min(bytes.Length, Signature.Length);
        if (bytes[..known].SequenceEqual(Signature[..known]))
        {
            return known < Signature.Length ? ParseStatus.Incomplete : ParseV2(bytes, out consumed, out source);
        }
        known = Math.Min(bytes.Length, "PROXY "u8.Length);
        if (!bytes[..known].SequenceEqual("PROXY "u8[..known]))
        {
            return ParseStatus.Invalid;
        }
        int feed = bytes[..Math.Min(bytes.Length, MaxWriteBytes)].IndexOf((byte)'\n');
        if (feed < 0)
        {
            return bytes.Length < MaxWriteBytes ? ParseStatus.Incomplete : ParseStatus.Invalid;
        }
        // The first line feed ends the line, whatever follows: one without a carriage return is a fault.
        if (bytes[feed - 1] != '\r' || !ParseV1(bytes["PROXY "u8.Length..(feed - 1)], out source))
        {
            return ParseStatus.Invalid;
        }
        consumed = feed + 1;
        return ParseStatus.Complete;
    }

    /// <summary>Writes the header that names the client to a backend.</summary>
    /// <param name="to">Memory of at least <see cref="MaxWriteBytes"/>.</param>
    /// <param name="source">The client's address; null: unknown, or not an IP connection.</param>
    public static int Write(Span<byte> to, int version, IPEndPoint? source, IPEndPoint? destination)
    {
        if (destination is { Address.IsIPv4MappedToIPv6: true })
        {
            destination = new IPEndPoint(destination.Address.MapToIPv4(), destination.Port);
        }
        bool told = source is not null && destination is not null
            && source.AddressFamily == destination.AddressFamily;
        if (version == 2)
        {
            return WriteV2(to, told ? source : null, destination);
        }
        var line = new HeadWriter(to);
        if (!told)
        {
            line.Add("PROXY UNKNOWN\r\n"u8);
            return line.Length;
        }
        line.Add(source!.AddressFamily == AddressFamily.InterNetwork ? "PROXY TCP4 "u8 : "PROXY TCP6 "u8);
        Span<byte> text = stackalloc byte[64];
        source.Address.TryFormat(text, out int written);
        line.Add(text[..written]);
        line.Add(" "u8);
        destination!.Address.TryFormat(text, out written);
        line.Add(text[..written]);
        line.Add(" "u8);
        line.Add(source.Port);
        line.Add(" "u8);
        line.Add(destination.Port);
        line.Add("\r\n"u8);
        return line.Length;
    }

    private static bool ParseV1(ReadOnlySpan<byte> line, out IPEndPoint? source)
    {
        source = null;
        if (line.SequenceEqual("UNKNOWN"u8) || line.StartsWith("UNKNOWN "u8))
        {
            return true;
        }
        AddressFamily family = line.StartsWith("TCP4 "u8) ? AddressFamily.InterNetwork
            : line.StartsWith("TCP6 "u8) ? AddressFamily.InterNetworkV6 : AddressFamily.Unspecified;
        Span<Range> parts = stackalloc Range[5];
        ReadOnlySpan<byte> rest = family == AddressFamily.Unspecified ? default : line[5..];
        int count = 0;
        foreach (Range range in rest.Split((byte)' '))
        {
            if (count == 4)
            {
                return false;
            }
            parts[count++] = range;
        }
        if (count != 4 || !TryAddress(rest[parts[0]], family, out IPAddress? address)
            || !TryAddress(rest[parts[1]], family, out _) || !TryPort(rest[parts[2]], out int port)
            || !TryPort(rest[parts[3]], out _))
        {
            return false;
        }
        source = new IPEndPoint(address!, port);
        return true;
    }

    private static bool TryAddress(ReadOnlySpan<byte> text, AddressFamily family, out IPAddress? address) =>
        AddressText.TryParse(text, out address)
            && text.Contains((byte)':') == (family == AddressFamily.InterNetworkV6);

    private static bool TryPort(ReadOnlySpan<byte> text, out int port) =>
        Utf8Parser.TryParse(text, out port, out int used) && used == text.Length && port is >= 0 and <= 65535
        && (text.Length == 1 || text[0] != '0') && char.IsAsciiDigit((char)text[0]);

    private static ParseStatus ParseV2(ReadOnlySpan<byte> bytes, out int consumed, out IPEndPoint? source)
    {
        consumed = 0;
        source = null;
        if (bytes.Length < V2HeadBytes)
        {
            return bytes.Length > 12 && (bytes[12] & 0xFE) != 0x20 ? ParseStatus.Invalid : ParseStatus.Incomplete;
        }
        int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        int command = bytes[12];
        if (command is not (0x20 or 0x21) || length > MaxV2Bytes)
        {
            return ParseStatus.Invalid;
        }
        if (bytes.Length < V2HeadBytes + length)
        {
            return ParseStatus.Incomplete;
        }
        consumed = V2HeadBytes + length;
        int addressBytes = bytes[13] switch { 0x11 => 4, 0x21 => 16, _ => 0 };
        if (command == 0x20 || addressBytes == 0)
        {
            // LOCAL (a health check of the proxy), or a family without IP addresses.
            return bytes[13] >> 4 <= 3 && (bytes[13] & 0xF) <= 2 ? ParseStatus.Complete : ParseStatus.Invalid;
        }
        if (length < (2 * addressBytes) + 4)
        {
            return ParseStatus.Invalid;
        }
        ReadOnlySpan<byte> addresses = bytes[V2HeadBytes..];
        source = new IPEndPoint(new IPAddress(addresses[..addressBytes]),
            BinaryPrimitives.ReadUInt16BigEndian(addresses[(2 * addressBytes)..]));
        return ParseStatus.Complete;
    }

    private static int WriteV2(Span<byte> to, IPEndPoint? source, IPEndPoint? destination)
    {
        Signature.CopyTo(to);
        to[12] = (byte)(source is null ? 0x20 : 0x21);
        if (source is null)
        {
            to[13] = to[14] = to[15] = 0;
            return V2HeadBytes;
        }
        int addressBytes = source.AddressFamily == AddressFamily.InterNetwork ? 4 : 16;
        to[13] = (byte)(addressBytes == 4 ? 0x11 : 0x21);
        int length = (2 * addressBytes) + 4;
        BinaryPrimitives.WriteUInt16BigEndian(to[14..], (ushort)length);
        Span<byte> addresses = to[V2HeadBytes..];
        source.Address.TryWriteBytes(addresses, out _);
        destination!.Address.TryWriteBytes(addresses[addressBytes..], out _);
        BinaryPrimitives.WriteUInt16BigEndian(addresses[(2 * addressBytes)..], (ushort)source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(addresses[((2 * addressBytes) + 2)..], (ushort)destination.Port);
        return V2HeadBytes + length;
    }
}
