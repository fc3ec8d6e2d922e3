using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Http1;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>The first bytes of a connection on a listener that expects the PROXY protocol.</summary>
internal sealed class ProxyProtocolTarget : FuzzTarget
{
    private const string Signature = @"\r\n\r\n\x00\r\nQUIT\n";

    public override string Name => "proxy-protocol";
    public override int MaxBytes => 5 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            @"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n",
            @"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", @"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
            @"PROXY UNKNOWN\r\n", @"PROXY UNKNOWN ffff::1 x\r\n", @"PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
            Signature + @"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbbGET /",
            Signature + @"\x21\x21\x00\x24" + "abcdefghijklmnopABCDEFGHIJKLMNOP1234",
            Signature + @"\x21\x11\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb\x04\x00\x01z",
            Signature + @"\x20\x00\x00\x00", Signature + @"\x21\x31\x00\x00", Signature + @"\x21\x11\xff\xff",
        }.Select(Bytes.Of),
        [.. "PROXY UNKNOWN "u8, .. Enumerable.Repeat((byte)'x', 100)],
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            "PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", @"\r\n", @"\n", " ", "0", "65535", "65536", "255.255.255.255",
            "127.1", "0x7f.0.0.1", "010.0.0.1", "::", "::1", "::ffff:1.2.3.4", "fe80::1%1", "[::1]", Signature,
            @"\x20", @"\x21", @"\x11", @"\x12", @"\x31", @"\x00\x0c", @"\x00\x24", @"\x10\x00", @"\x10\x01",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        string? first = null;
        HashSet<string> words = [];
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, RandomFor(input)))
        {
            ParseStatus status = ParseStatus.Incomplete;
            int consumed = 0;
            IPEndPoint? source = null;
            while (status == ParseStatus.Incomplete && bytes.More())
            {
                status = ProxyProtocol.Parse(bytes.Here, out consumed, out source);
                Require(consumed <= bytes.Here.Length, "consumes what is there",
                    $"{consumed} of {bytes.Here.Length}");
            }
            string outcome = status == ParseStatus.Complete ? $"{consumed} {source}" : $"{status}";
            first ??= outcome;
            Require(outcome == first, "same however it comes", $"{how}: {outcome}, whole: {first}");
            words.Add($"{status} {source?.AddressFamily}");
            if (status == ParseStatus.Complete)
            {
                RequireAlone(input[..consumed], source);
                RequireWritten(source);
            }
        }
        return words;
    }

    /// <summary>The bytes after the header do not change its result.</summary>
    private static void RequireAlone(byte[] header, IPEndPoint? source)
    {
        ParseStatus status = ProxyProtocol.Parse(header, out int consumed, out IPEndPoint? again);
        Require(status == ParseStatus.Complete && consumed == header.Length && Equals(again, source),
            "the header stands alone", $"{status} {consumed} of {header.Length}: {again}, not {source}");
        if (source is not null && header[0] == '\r')
        {
            int addressBytes = source.AddressFamily == AddressFamily.InterNetwork ? 4 : 16;
            byte[] told = source.Address.GetAddressBytes();
            Require(header.AsSpan(16, addressBytes).SequenceEqual(told)
                && source.Port == BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(16 + (2 * addressBytes))),
                "the source is the one in the header", $"{source}");
        }
        else if (source is not null && header.AsSpan().StartsWith("PROXY TCP4 "u8))
        {
            string[] parts = Bytes.Text(header).TrimEnd().Split(' ');
            Require(parts[2] == source.Address.ToString() && parts[4] == $"{source.Port}",
                "the source is the one in the header", $"{source}");
        }
    }

    private static void RequireWritten(IPEndPoint? source)
    {
        if (source is null)
        {
            return;
        }
        var here = new IPEndPoint(source.AddressFamily == AddressFamily.InterNetwork
            ? IPAddress.Loopback : IPAddress.IPv6Loopback, 1);
        Span<byte> room = stackalloc byte[ProxyProtocol.MaxWriteBytes];
        for (int version = 1; version <= 2; version++)
        {
            int length = ProxyProtocol.Write(room, version, source, here);
            ParseStatus status = ProxyProtocol.Parse(room[..length], out int consumed, out IPEndPoint? again);
            Require(status == ParseStatus.Complete && consumed == length && source.Equals(again),
                "it can be told on", $"version {version}: {status} {again}, not {source}");
        }
    }
}
