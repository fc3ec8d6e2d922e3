using Penstock.Control.Config;
using Penstock.Fuzz.Targets;
using Penstock.Proxy.Http1;
using Penstock.TestKit;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Fuzz;

/// <summary>Faults that fuzzers found; each test keeps one from coming back.</summary>
public sealed class FoundTests
{
    [Theory]
    [InlineData("upstreams: { web: { backends: [a:1] } }\nroutes:\n  - x${A}y\n")]
    [InlineData("upstreams:\n  !!strw[eb: { backen: 1 }\n")]
    public void Config_that_made_the_loader_throw_is_told_with_its_faults(string text)
    {
        ConfigResult result = ConfigLoader.Parse("f.yaml", text, static _ => null);
        Assert.Null(result.Config);
        Assert.NotEmpty(result.Diagnostics);
    }

    [Fact]
    public void Request_line_of_carriage_returns_is_no_method_however_it_comes()
    {
        var head = new RequestHead();
        Assert.Equal(ParseStatus.Invalid, head.Parse("\r\r"u8));
        Assert.Equal(HttpFault.BadMethod, head.Fault);
    }

    [Fact]
    public void Request_with_two_faults_in_its_line_is_rejected_for_the_same_one_however_it_comes()
    {
        byte[] bytes = Bytes.Of(@"OPT\x12S * HTTP/1.1M\nHost: a\r\n\r\n");
        var whole = new RequestHead();
        whole.Parse(bytes);
        var pieces = new RequestHead();
        for (int length = 1; pieces.Parse(bytes.AsSpan(0, length)) == ParseStatus.Incomplete; length++)
        {
        }
        Assert.Equal(whole.Fault, pieces.Fault);
    }

    [Theory]
    [InlineData(@"\x01\x02\x00\x03\x01*\x00\xc399")] // an error stayed behind for the next session of the thread
    [InlineData(@"!\x02\x00\x03\x01\xe6\x02\x00y\x03y\x01")] // an alert counted as the end of a stream
    public void Tls_session_that_ends_twice_takes_an_alert_for_what_it_is(string script) =>
        new TlsTarget().Run(Bytes.Of(script));

    [Fact]
    public void Proxy_header_with_a_line_feed_inside_is_invalid_however_it_comes()
    {
        byte[] bytes = "PROXY UNKNOWN x\ny\r\n"u8.ToArray();
        ParseStatus pieces = ParseStatus.Incomplete;
        for (int length = 1; pieces == ParseStatus.Incomplete; length++)
        {
            pieces = ProxyProtocol.Parse(bytes.AsSpan(0, length), out _, out _);
        }
        Assert.Equal(ParseStatus.Invalid, pieces);
        Assert.Equal(ParseStatus.Invalid, ProxyProtocol.Parse(bytes, out _, out _));
    }
}
