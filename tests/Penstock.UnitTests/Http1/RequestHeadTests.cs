using System.Text;
using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class RequestHeadTests
{
    public static TheoryData<string> Valid =>
    [
        @"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        @"GET /%61/%2E%2E/b?x=/../&y HTTP/1.1\r\nHost: example.com:8080\r\nX:\r\nX: \t two \t\r\n\r\n",
        @"POST /p HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        @"PUT http://a.example:81/x?q HTTP/1.1\r\nHost: b\r\ntransfer-encoding: Chunked\r\n\r\n",
        @"GET http://a HTTP/1.1\r\nHost: b\r\nConnection: close, X-S\r\nX-S: 1\r\n\r\n",
        @"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        @"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        @"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        @"PROPFIND / HTTP/1.9\r\nHost: a\r\nName: \x80\xff\r\n\r\n",
    ];

    [Theory]
    [MemberData(nameof(Valid))]
    public void Parse_prefix_is_incomplete_and_the_whole_is_the_same_however_it_comes(string escaped)
    {
        byte[] bytes = Bytes.Of(escaped);
        var whole = new RequestHead();
        Assert.Equal(ParseStatus.Complete, whole.Parse(bytes));
        Assert.Equal(bytes.Length, whole.Length);

        var grown = new RequestHead();
        for (int length = 0; length < bytes.Length; length++)
        {
            // A buffer of its own each time, as when a connection's buffer is moved or grown.
            Assert.Equal(ParseStatus.Incomplete, grown.Parse(bytes.AsSpan(0, length).ToArray()));
            Assert.Equal(0, grown.Length);

            var split = new RequestHead();
            Assert.Equal(ParseStatus.Incomplete, split.Parse(bytes.AsSpan(0, length).ToArray()));
            Assert.Equal(ParseStatus.Complete, split.Parse([.. bytes]));
            Assert.Equal(Describe(whole, bytes), Describe(split, bytes));
        }
        Assert.Equal(ParseStatus.Complete, grown.Parse(bytes));
        Assert.Equal(Describe(whole, bytes), Describe(grown, bytes));
    }

    [Theory]
    [MemberData(nameof(Valid))]
    public void Parse_leaves_what_is_behind_the_head_alone(string escaped)
    {
        byte[] bytes = Bytes.Of(escaped);
        var head = new RequestHead();
        Assert.Equal(ParseStatus.Complete, head.Parse([.. bytes, .. "GET \n:\0"u8]));
        Assert.Equal(bytes.Length, head.Length);
    }

    [Fact]
    public void Reset_head_parses_the_next_request_as_a_new_one_does()
    {
        var reused = new RequestHead();
        foreach (string escaped in Valid.Select(static row => row.Data))
        {
            byte[] bytes = Bytes.Of(escaped);
            var fresh = new RequestHead();
            fresh.Parse(bytes);
            reused.Reset();
            Assert.Equal(ParseStatus.Complete, reused.Parse(bytes));
            Assert.Equal(Describe(fresh, bytes), Describe(reused, bytes));
        }
    }

    [Fact]
    public void Parse_origin_form_tells_the_parts()
    {
        RequestHead head = Parse("DELETE /a/b?c=d?e HTTP/1.1\r\nhOST: x:1\r\nX-A:  v w\t\r\n\r\n", out byte[] bytes);

        Assert.Equal(Method.Delete, head.Method);
        Assert.Equal("DELETE", Bytes.Text(head.MethodName.Of(bytes)));
        Assert.Equal("/a/b?c=d?e", Bytes.Text(head.Target.Of(bytes)));
        Assert.Equal("/a/b", Bytes.Text(head.Path.Of(bytes)));
        Assert.Equal("c=d?e", Bytes.Text(head.Query.Of(bytes)));
        Assert.Equal("x:1", Bytes.Text(head.Authority.Of(bytes)));
        Assert.True(head.TryGet(bytes, "x-a"u8, out Slice value));
        Assert.Equal("v w", Bytes.Text(value.Of(bytes)));
        Assert.False(head.TryGet(bytes, "x-b"u8, out _));
        Assert.Equal(1, head.MinorVersion);
    }

    [Theory]
    [InlineData("GET http://a:1/p?q", "a:1", "/p", "q", false)]
    [InlineData("GET HTTPS://A/p", "A", "/p", "", false)]
    [InlineData("GET http://a", "a", "/", "", false)]
    [InlineData("GET http://a?q", "a", "/", "q", false)]
    [InlineData("OPTIONS http://a", "a", "*", "", true)]
    [InlineData("OPTIONS http://a/", "a", "/", "", false)]
    [InlineData("OPTIONS *", "host", "*", "", true)]
    public void Parse_other_forms_tell_authority_path_and_query(
        string start, string authority, string path, string query, bool asterisk)
    {
        RequestHead head = Parse(start + " HTTP/1.1\r\nHost: host\r\n\r\n", out byte[] bytes);
        Assert.Equal(authority, Bytes.Text(head.Authority.Of(bytes)));
        Assert.Equal(path, Bytes.Text(head.PathOf(bytes)));
        Assert.Equal(query, Bytes.Text(head.Query.Of(bytes)));
        Assert.Equal(asterisk, head.IsAsterisk);
    }

    [Theory]
    [InlineData("", BodyFraming.None, -1)]
    [InlineData("Content-Length: 0\r\n", BodyFraming.None, 0)]
    [InlineData("Content-Length: 999999999999999999\r\n", BodyFraming.Length, 999999999999999999)]
    [InlineData("Transfer-Encoding: CHUNKED\r\n", BodyFraming.Chunked, -1)]
    internal void Parse_framing_is_the_fields(string fields, BodyFraming framing, long length)
    {
        RequestHead head = Parse("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n", out _);
        Assert.Equal(framing, head.Framing);
        Assert.Equal(length, head.ContentLength);
    }

    [Theory]
    [InlineData("HTTP/1.1", "", true)]
    [InlineData("HTTP/1.1", "Connection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: a, CLOSE ,b\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: a\r\nConnection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: closed\r\n", true)]
    [InlineData("HTTP/1.0", "", false)]
    [InlineData("HTTP/1.0", "Connection: keep-alive\r\n", true)]
    [InlineData("HTTP/1.0", "Connection: keep-alive, close\r\n", false)]
    public void KeepAlive_is_by_version_and_connection_field(string version, string fields, bool keepAlive) =>
        Assert.Equal(keepAlive, Parse($"GET / {version}\r\nHost: a\r\n{fields}\r\n", out _).KeepAlive);

    [Theory]
    [InlineData("HTTP/1.1", "Content-Length: 1\r\n", true)]
    [InlineData("HTTP/1.1", "Transfer-Encoding: chunked\r\n", true)]
    [InlineData("HTTP/1.1", "", false)]
    [InlineData("HTTP/1.0", "Content-Length: 1\r\n", false)]
    public void ExpectsContinue_needs_a_body_and_http11(string version, string fields, bool expected)
    {
        string text = $"POST / {version}\r\nHost: a\r\nExpect: 100-Continue\r\n{fields}\r\n";
        Assert.Equal(expected, Parse(text, out _).ExpectsContinue);
    }

    [Theory]
    [InlineData("Expect: 200-ok\r\n", HttpFault.ExpectationUnknown, 417)]
    [InlineData("Expect: y 100-continue\r\n", HttpFault.ExpectationUnknown, 417)]
    [InlineData("Host: b\r\n", HttpFault.HostRepeated, 400)]
    [InlineData("Content-Length: 5\r\nContent-Length: 5\r\n", HttpFault.ContentLengthRepeated, 400)]
    [InlineData("Content-Length: 1000000000000000000\r\n", HttpFault.ContentLengthInvalid, 400)]
    [InlineData("Content-Length: 0x5\r\n", HttpFault.ContentLengthInvalid, 400)]
    [InlineData("Transfer-Encoding: x chunked\r\n", HttpFault.TransferEncodingInvalid, 400)]
    [InlineData("Transfer-Encoding: chunked;q=1\r\n", HttpFault.TransferEncodingInvalid, 400)]
    [InlineData("X: \u007f\r\n", HttpFault.BadFieldValue, 400)]
    internal void Parse_field_invalid_is_rejected(string fields, HttpFault fault, int status)
    {
        var head = new RequestHead();
        Assert.Equal(ParseStatus.Invalid, head.Parse(Bytes.Of("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")));
        Assert.Equal(fault, head.Fault);
        Assert.Equal(status, fault.Status());
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("a.b-c_d~1:65535", true)]
    [InlineData("127.0.0.1:", true)]
    [InlineData("[2001:db8::1]", true)]
    [InlineData("[::ffff:1.2.3.4]:80", true)]
    [InlineData("[v1.x]", false)]
    [InlineData("[::1", false)]
    [InlineData("[::1]x", false)]
    [InlineData("[]", false)]
    [InlineData("a[b]", false)]
    [InlineData(":80", false)]
    [InlineData("a:b", false)]
    [InlineData("a:123456", false)]
    [InlineData("a:1:2", false)]
    [InlineData("user@a", false)]
    [InlineData("a%41", false)]
    [InlineData("a\\b", false)]
    [InlineData("a?b", false)]
    [InlineData("a#b", false)]
    [InlineData("\u00e9", false)]
    public void Host_is_an_authority_or_rejected(string host, bool valid)
    {
        byte[] bytes = Bytes.Of("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        Assert.Equal(valid ? ParseStatus.Complete : ParseStatus.Invalid, new RequestHead().Parse(bytes));
    }

    // ---- limits

    [Fact]
    public void Line_of_8_KiB_is_the_longest()
    {
        string longest = "GET /" + new string('a', 8192 - "GET / HTTP/1.1".Length) + " HTTP/1.1";
        AssertOutcome(HttpFault.None, longest + "\r\nHost: a\r\n\r\n");
        AssertOutcome(HttpFault.TargetTooLong, "GET /a" + longest[5..] + "\r\nHost: a\r\n\r\n");
        Assert.Equal(414, HttpFault.TargetTooLong.Status());
    }

    [Fact]
    public void Line_that_never_ends_is_rejected_at_8_KiB() =>
        AssertOutcome(HttpFault.TargetTooLong, "GET /" + new string('a', 8192));

    [Fact]
    public void Head_of_32_KiB_is_the_longest()
    {
        string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        string longest = start + new string('a', 32_768 - start.Length - 4);
        AssertOutcome(HttpFault.None, longest + "\r\n\r\n");
        AssertOutcome(HttpFault.HeadTooLarge, longest + "a\r\n\r\n");
        AssertOutcome(HttpFault.HeadTooLarge, longest + "aaaa");
        Assert.Equal(431, HttpFault.HeadTooLarge.Status());
    }

    [Fact]
    public void Fields_100_are_the_most()
    {
        string start = "GET / HTTP/1.1\r\nHost: a\r\n";
        string ninetyNine = string.Concat(Enumerable.Repeat("X: i\r\n", 99));
        AssertOutcome(HttpFault.None, start + ninetyNine + "\r\n");
        AssertOutcome(HttpFault.TooManyFields, start + ninetyNine + "X: i\r\n\r\n");
        Assert.Equal(431, HttpFault.TooManyFields.Status());
    }

    [Fact]
    public void Field_name_of_256_bytes_is_the_longest()
    {
        string start = "GET / HTTP/1.1\r\nHost: a\r\n";
        AssertOutcome(HttpFault.None, start + new string('x', 256) + ": 1\r\n\r\n");
        AssertOutcome(HttpFault.FieldNameTooLong, start + new string('x', 257) + ": 1\r\n\r\n");
        Assert.Equal(431, HttpFault.FieldNameTooLong.Status());
    }

    [Fact]
    public void Method_of_32_bytes_is_the_longest()
    {
        AssertOutcome(HttpFault.None, new string('M', 32) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
        AssertOutcome(HttpFault.MethodNotSupported, new string('M', 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
        AssertOutcome(HttpFault.MethodNotSupported, new string('M', 33));
        Assert.Equal(501, HttpFault.MethodNotSupported.Status());
    }

    [Fact]
    public void Connection_options_of_1_KiB_are_the_most()
    {
        // Each field is compared with all of them; without a maximum one head would cost quadratic time.
        string start = "GET / HTTP/1.1\r\nHost: a\r\n";
        string half = "Connection: " + new string(',', 512) + "\r\n";
        AssertOutcome(HttpFault.None, start + half + half + "\r\n");
        AssertOutcome(HttpFault.HeadTooLarge, start + half + half + "Connection: a\r\n\r\n");
    }

    [Fact]
    public void Tls_hello_is_rejected_at_once() => AssertOutcome(HttpFault.BadMethod, "\u0016\u0003\u0001");

    // ---- nominated fields

    [Theory]
    [InlineData("Connection: close, X-S", "x-s", true)]
    [InlineData("Connection: a\r\nConnection: b ,\tX-S", "X-S", true)]
    [InlineData("Connection: X-S2, -S", "X-S", false)]
    [InlineData("Other: X-S", "X-S", false)]
    [InlineData("Connection: X-Forwarded-For", "X-Forwarded-For", false)]
    [InlineData("Connection: Content-Length", "Content-Length", false)]
    [InlineData("Connection: Via, Host", "Via", false)]
    public void IsNominated_is_by_the_connection_field_and_never_for_protected_ones(
        string connection, string name, bool nominated)
    {
        RequestHead head = Parse($"GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n{connection}\r\n\r\n", out byte[] bytes);
        Assert.Equal(nominated, head.IsNominated(bytes, head.Fields[1]));
    }

    private static RequestHead Parse(string text, out byte[] bytes)
    {
        bytes = Encoding.Latin1.GetBytes(text);
        var head = new RequestHead();
        Assert.Equal(ParseStatus.Complete, head.Parse(bytes));
        return head;
    }

    /// <summary>The same outcome whether it comes at once or byte by byte.</summary>
    private static void AssertOutcome(HttpFault fault, string text)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        foreach (int step in (int[])[bytes.Length, 1])
        {
            var head = new RequestHead();
            ParseStatus status = RequestRun.Parse(head, bytes, step);
            Assert.Equal(fault, head.Fault);
            Assert.Equal(fault == HttpFault.None ? ParseStatus.Complete : ParseStatus.Invalid, status);
        }
    }

    private static string Describe(RequestHead head, byte[] bytes)
    {
        var text = new StringBuilder();
        text.Append(head.Method).Append('|').Append(Bytes.Text(head.MethodName.Of(bytes)))
            .Append('|').Append(Bytes.Text(head.Target.Of(bytes)))
            .Append('|').Append(Bytes.Text(head.Path.Of(bytes)))
            .Append('|').Append(Bytes.Text(head.Query.Of(bytes)))
            .Append('|').Append(Bytes.Text(head.Authority.Of(bytes)))
            .Append('|').Append(head.MinorVersion).Append(head.Framing).Append(head.ContentLength)
            .Append(head.KeepAlive).Append(head.ExpectsContinue).Append(head.IsAsterisk).Append(head.NeedsSlash)
            .Append(head.IsIdempotent).Append(head.Length);
        foreach (ref readonly Field field in head.Fields)
        {
            text.Append('|').Append(field.Known).Append('=').Append(Bytes.Text(field.Name.Of(bytes)))
                .Append(':').Append(Bytes.Text(field.Value.Of(bytes))).Append(head.IsNominated(bytes, field));
        }
        return text.ToString();
    }
}
