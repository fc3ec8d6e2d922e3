using System.Net;
using System.Text.Json.Nodes;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class EchoServerTests : IAsyncLifetime
{
    private readonly EchoServer _echo = new([new(IPAddress.Loopback, 0), new(IPAddress.Loopback, 0)], most: 64);
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
    [InlineData("/sleep?delay=10ms", 200)]
    [InlineData("/sleep?delay=0.01s", 200)]
    [InlineData("/sleep?delay=301s", 400)]
    [InlineData("/sleep?delay=1h", 400)]
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
    [InlineData("/echo", """{"other":1}""")]
    [InlineData("/any/path?x", """{"message":"hello"}""")]
    [InlineData("/", "[1,2]")]
    public async Task Json_is_returned_as_it_was_sent_on_any_path(string path, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Content = new StringContent(body) };
        using HttpResponseMessage response = await _http.SendAsync(request);

        JsonNode answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal(["http_method", "request_uri", "your_message"], answer.AsObject().Select(static m => m.Key));
        Assert.Equal(("GET", path), ((string?)answer["http_method"], (string?)answer["request_uri"]));
        Assert.Equal(body, answer["your_message"]!.ToJsonString());
    }

    [Theory]
    [InlineData("plain text")]
    [InlineData("1")]
    [InlineData("")]
    public async Task Other_bodies_are_greeted(string body)
    {
        using HttpResponseMessage response = await _http.PostAsync(new Uri("/", UriKind.Relative),
            new StringContent(body));
        Assert.StartsWith("Hello from ", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Server_that_is_stopped_accepts_no_connection_until_it_is_started()
    {
        Uri other = new($"http://127.0.0.1:{_echo.Ports[1]}");
        using HttpResponseMessage stopped = await _http.PostAsync(new Uri("/stop", UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.OK, stopped.StatusCode);
        await Eventually.TrueAsync(async () => !await AnswersAsync(), "the server has stopped");
        Assert.StartsWith("Hello", await _http.GetStringAsync(other));

        using HttpResponseMessage started = await _http.PostAsync(new Uri(other, $"/start/{_echo.Ports[0]}"), null);
        Assert.Equal(HttpStatusCode.OK, started.StatusCode);
        Assert.True(await AnswersAsync());
        using HttpResponseMessage again = await _http.PostAsync(new Uri($"/start/{_echo.Ports[0]}", UriKind.Relative),
            null);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode); // it runs already
    }

    [Fact]
    public async Task Server_is_not_stopped_through_a_balancer_nor_by_the_port_of_another_program()
    {
        using var forwarded = new HttpRequestMessage(HttpMethod.Post, "/stop");
        forwarded.Headers.Add("X-Forwarded-For", "192.0.2.1");
        using HttpResponseMessage rejected = await _http.SendAsync(forwarded);
        using HttpResponseMessage unknown = await _http.PostAsync(new Uri("/stop/1", UriKind.Relative), null);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.NotFound), (rejected.StatusCode, unknown.StatusCode));
        Assert.True(await AnswersAsync());
    }

    private async Task<bool> AnswersAsync()
    {
        try
        {
            return (await _http.GetStringAsync(new Uri("/", UriKind.Relative))).StartsWith("Hello",
                StringComparison.Ordinal);
        }
        catch (HttpRequestException)
        {
            return false;
        }
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
