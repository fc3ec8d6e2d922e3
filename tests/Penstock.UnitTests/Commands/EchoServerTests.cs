using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class EchoServerTests : IAsyncLifetime
{
    private readonly EchoServer _echo = new([new(IPAddress.Loopback, 0)], most: 64);
    private readonly HttpClient _http = new();

    public async ValueTask InitializeAsync()
    {
        Assert.Null(await _echo.StartAsync());
        _http.BaseAddress = new Uri($"http://127.0.0.1:{_echo.Ports[0]}");
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _echo.DisposeAsync();
    }

    [Theory]
    [InlineData("/", 200)]
    [InlineData("/any/other/path", 200)]
    [InlineData("/health", 200)]
    [InlineData("/ping", 200)]
    [InlineData("/sleep?delay=0.01", 200)]
    [InlineData("/sleep?delay=soon", 400)]
    [InlineData("/sleep?delay=1000000", 400)]
    [InlineData("/status/204", 204)]
    [InlineData("/status/503", 503)]
    [InlineData("/status/99", 400)]
    [InlineData("/bytes/x", 400)]
    public async Task Path_is_answered_with_its_status(string path, int status)
    {
        using HttpResponseMessage response = await _http.GetAsync(new Uri(path, UriKind.Relative));

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Theory]
    [InlineData("""{"message":"hello"}""", "hello")]
    [InlineData("""{"other":1}""", """{"other":1}""")]
    [InlineData("plain text", "plain text")]
    [InlineData("[1,2", "[1,2")]
    [InlineData("", "")]
    public async Task Echo_returns_the_message_member_or_else_the_body(string body, string message)
    {
        using HttpResponseMessage response =
            await _http.PostAsync(new Uri("/echo?a=b%20c", UriKind.Relative), new StringContent(body));

        JsonNode answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal("POST", (string?)answer["http_method"]);
        Assert.Equal("/echo?a=b%20c", (string?)answer["request_uri"]);
        Assert.Equal(message, (string?)answer["your_message"]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65_536)]
    [InlineData(1_000_001)]
    public async Task Bytes_are_as_many_as_asked_for(int count)
    {
        byte[] body = await _http.GetByteArrayAsync(new Uri($"/bytes/{count}", UriKind.Relative));

        Assert.Equal(count, body.Length);
    }

    [Fact]
    public async Task Upload_is_counted()
    {
        using var body = new ByteArrayContent(new byte[3_000_000]);
        using HttpResponseMessage response = await _http.PostAsync(new Uri("/upload", UriKind.Relative), body);

        Assert.Equal("""{"bytes":3000000}""", (await response.Content.ReadAsStringAsync()).Trim());
    }

    [Fact]
    public async Task Headers_shows_the_request_as_received()
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, "/headers?x=%2F");
        request.Headers.Add("X-Test", "one");
        using HttpResponseMessage response = await _http.SendAsync(request);

        JsonNode answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal("DELETE /headers?x=%2F HTTP/1.1", (string?)answer["request_line"]);
        Assert.Equal("one", (string?)answer["headers"]!["X-Test"]);
    }
}
