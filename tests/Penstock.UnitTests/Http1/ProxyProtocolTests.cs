using System.Net;
using System.Text;
using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class ProxyProtocolTests
{
    private const string Hundred = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    private const string V2Signature = "\r\n\r\n\0\r\nQUIT\n";

    [Theory]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1:56324")]
    [InlineData("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", "255.255.255.255:65535")]
    [InlineData("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1")]
    [InlineData("PROXY TCP6 ffff:f...f:ffff ::1 1 2\r\n", null)]
    [InlineData("PROXY UNKNOWN\r\n", "")]
    [InlineData("PROXY UNKNOWN ffff::1 whatever 1 2\r\n", "")]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n", null)]
    [InlineData("PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2 198.51.100.7 56324 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n", null)]
    [InlineData("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", null)]
    [InlineData("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", null)]
    [InlineData("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n", null)]
    [InlineData("proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n", null)]
    [InlineData("GET / HTTP/1.1\r\n", null)]
    [InlineData("PROXY TCP4 " + Hundred, null)]
    [InlineData(V2Signature + "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb", "192.0.2.1:56324")]
    [InlineData(V2Signature + "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb\x04\0\x01z",
        "192.0.2.1:56324")]
    [InlineData(V2Signature + "\x20\0\0\0", "")]
    [InlineData(V2Signature + "\x21\0\0\0", "")]
    [InlineData(V2Signature + "\x31\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb", null)]
    [InlineData(V2Signature + "\x22\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb", null)]
    [InlineData(V2Signature + "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x07\xdc\x04\x01", null)]
    [InlineData(V2Signature + "\x21\xf1\0\0", null)]
    [InlineData(V2Signature + "\x21\x11\xff\xff", null)]
    public void Parse_tells_who_connected(string header, string? expected)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(header);
        ParseStatus status = ProxyProtocol.Parse(bytes, out int consumed, out IPEndPoint? source);
        if (expected is null)
        {
            Assert.Equal(ParseStatus.Invalid, status);
            return;
        }
        Assert.Equal(ParseStatus.Complete, status);
        Assert.Equal(bytes.Length, consumed);
        Assert.Equal(expected, source?.ToString() ?? "");

        // Every prefix waits for more; what follows is not touched.
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(ParseStatus.Incomplete, ProxyProtocol.Parse(bytes.AsSpan(0, length), out _, out _));
        }
        ProxyProtocol.Parse([.. bytes, .. "GET / HTTP/1.1\r\n"u8], out consumed, out _);
        Assert.Equal(bytes.Length, consumed);
    }

    [Theory]
    [InlineData("192.0.2.1:1", "198.51.100.7:65535")]
    [InlineData("[2001:db8::1]:5", "[2001:db8::2]:6")]
    [InlineData("192.0.2.1:1", "[::ffff:198.51.100.7]:2")]
    public void Write_is_read_back(string source, string destination)
    {
        Span<byte> header = stackalloc byte[ProxyProtocol.MaxWriteBytes];
        foreach (int version in (int[])[1, 2])
        {
            int length = ProxyProtocol.Write(header, version, IPEndPoint.Parse(source), IPEndPoint.Parse(destination));
            Assert.Equal(ParseStatus.Complete, ProxyProtocol.Parse(header[..length], out int consumed,
                out IPEndPoint? read));
            Assert.Equal(length, consumed);
            Assert.Equal(IPEndPoint.Parse(source), read);
        }
    }

    [Fact]
    public void Write_of_what_is_not_known_says_so()
    {
        Span<byte> header = stackalloc byte[ProxyProtocol.MaxWriteBytes];
        Assert.Equal("PROXY UNKNOWN\r\n", Encoding.ASCII.GetString(
            header[..ProxyProtocol.Write(header, 1, null, null)]));
        int length = ProxyProtocol.Write(header, 2, null, null);
        Assert.Equal(ParseStatus.Complete, ProxyProtocol.Parse(header[..length], out _, out IPEndPoint? source));
        Assert.Null(source);
    }
}
