using Penstock.Control.Config;
using Penstock.Proxy.Http1;
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
