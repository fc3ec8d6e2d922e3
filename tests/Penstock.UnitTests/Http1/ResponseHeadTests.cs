using System.Text;
using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class ResponseHeadTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK", 200, "OK", 1)]
    [InlineData("HTTP/1.0 404 Not Found", 404, "Not Found", 0)]
    [InlineData("HTTP/1.1 200 ", 200, "", 1)]
    [InlineData("HTTP/1.1 299", 299, "", 1)]
    [InlineData("HTTP/1.7 599 \u00e9\tx", 599, "\u00e9\tx", 1)]
    public void Parse_status_line_tells_the_parts(string line, int status, string reason, int minorVersion)
    {
        ResponseHead head = Parse(line + "\r\nContent-Length: 1\r\n\r\n", false, out byte[] bytes);
        Assert.Equal(status, head.Status);
        Assert.Equal(reason, Bytes.Text(head.ReasonPhrase.Of(bytes)));
        Assert.Equal(minorVersion, head.MinorVersion);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\n")]
    [InlineData("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")]
    [InlineData("HTTP/1.0 200\r\n\r\n")]
    public void Parse_prefix_is_incomplete_and_the_whole_is_the_same_however_it_comes(string text)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        var grown = new ResponseHead();
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(ParseStatus.Incomplete, grown.Parse(bytes.AsSpan(0, length).ToArray()));
        }
        Assert.Equal(ParseStatus.Complete, grown.Parse(bytes));

        ResponseHead whole = Parse(text, false, out _);
        Assert.Equal(Describe(whole), Describe(grown));
    }

    [Theory]
    [InlineData("HTTP/1.1 20 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 2000 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 099 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 600 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 2x0 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1  200 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1\t200 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/2.0 200 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.x 200 OK", HttpFault.BadStatusLine)]
    [InlineData("http/1.1 200 OK", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 200 O\u0000K", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 200 O\rK", HttpFault.BadStatusLine)]
    [InlineData("", HttpFault.BadStatusLine)]
    [InlineData("HTTP/1.1 200 OK\n", HttpFault.BareLineFeed)]
    [InlineData("HTTP/1.1 200 OK\r\nX : 1", HttpFault.SpaceBeforeColon)]
    [InlineData("HTTP/1.1 200 OK\r\nX: 1\r\n 2", HttpFault.FoldedField)]
    [InlineData("HTTP/1.1 200 OK\r\nX: 1\u0000", HttpFault.BadFieldValue)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -1", HttpFault.ContentLengthInvalid)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2", HttpFault.ContentLengthRepeated)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        HttpFault.TransferEncodingWithLength)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", HttpFault.TransferEncodingUnsupported)]
    [InlineData("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", HttpFault.TransferEncodingOnHttp10)]
    [InlineData("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked", HttpFault.TransferEncodingInvalid)]
    [InlineData("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked", HttpFault.TransferEncodingInvalid)]
    internal void Parse_malformed_is_rejected(string text, HttpFault fault)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text + "\r\n\r\n");
        foreach (int step in (int[])[bytes.Length, 1])
        {
            var head = new ResponseHead();
            Assert.Equal(ParseStatus.Invalid, RequestRun.Parse(head, bytes, step));
            Assert.Equal(fault, head.Fault);
        }
    }

    [Theory]
    [InlineData(200, "Content-Length: 5\r\n", false, BodyFraming.Length)]
    [InlineData(200, "Content-Length: 0\r\n", false, BodyFraming.None)]
    [InlineData(200, "Transfer-Encoding: chunked\r\n", false, BodyFraming.Chunked)]
    [InlineData(200, "", false, BodyFraming.UntilClose)]
    [InlineData(200, "Content-Length: 5\r\n", true, BodyFraming.None)]
    [InlineData(200, "Transfer-Encoding: chunked\r\n", true, BodyFraming.None)]
    [InlineData(200, "", true, BodyFraming.None)]
    [InlineData(204, "", false, BodyFraming.None)]
    [InlineData(204, "Content-Length: 5\r\n", false, BodyFraming.None)]
    [InlineData(304, "Content-Length: 5\r\n", false, BodyFraming.None)]
    [InlineData(304, "Transfer-Encoding: chunked\r\n", false, BodyFraming.None)]
    [InlineData(103, "Content-Length: 5\r\n", false, BodyFraming.None)]
    [InlineData(500, "", false, BodyFraming.UntilClose)]
    internal void Parse_framing_is_by_method_status_and_fields(
        int status, string fields, bool toHead, BodyFraming framing)
    {
        ResponseHead head = Parse($"HTTP/1.1 {status} X\r\n{fields}\r\n", toHead, out _);
        Assert.Equal(framing, head.Framing);
        Assert.Equal(status < 200, head.IsInterim);
    }

    [Theory]
    [InlineData("1.1", "Content-Length: 5\r\n", true)]
    [InlineData("1.1", "Transfer-Encoding: chunked\r\n", true)]
    [InlineData("1.1", "", false)]
    [InlineData("1.1", "Content-Length: 5\r\nConnection: close\r\n", false)]
    [InlineData("1.0", "Content-Length: 5\r\n", false)]
    [InlineData("1.0", "Content-Length: 5\r\nConnection: keep-alive\r\n", true)]
    public void KeepAlive_is_by_version_framing_and_connection_field(string version, string fields, bool keepAlive) =>
        Assert.Equal(keepAlive, Parse($"HTTP/{version} 200 OK\r\n{fields}\r\n", false, out _).KeepAlive);

    [Fact]
    public void Reset_after_an_interim_response_forgets_it()
    {
        ResponseHead head = Parse("HTTP/1.0 103 Hints\r\nConnection: close\r\nContent-Length: 7\r\n\r\n", false, out _);
        head.Reset();
        byte[] bytes = Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

        Assert.Equal(ParseStatus.Complete, head.Parse(bytes));
        Assert.True(head.KeepAlive);
        Assert.Equal(BodyFraming.Chunked, head.Framing);
        Assert.Equal(-1, head.ContentLength);
        Assert.Equal(1, head.Fields.Length);
    }

    private static (int, Slice, BodyFraming, long, int, int) Describe(ResponseHead head) =>
        (head.Status, head.ReasonPhrase, head.Framing, head.ContentLength, head.Length, head.Fields.Length);

    private static ResponseHead Parse(string text, bool toHead, out byte[] bytes)
    {
        bytes = Encoding.Latin1.GetBytes(text);
        var head = new ResponseHead { ToHead = toHead };
        Assert.Equal(ParseStatus.Complete, head.Parse(bytes));
        return head;
    }
}
