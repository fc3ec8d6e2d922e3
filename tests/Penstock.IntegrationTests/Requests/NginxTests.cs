using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>A real nginx as the backend.</summary>
public sealed class NginxTests
{
    [Fact]
    public async Task Nginx_serves_small_large_chunked_and_conditional_responses_through_Penstock()
    {
        Assert.SkipWhen(NginxBackend.Program is null, "nginx is not installed");
        await using NginxBackend nginx = await NginxBackend.StartAsync("""
            location = /small { return 200 "small"; }
            location = /moved { return 302 /small; }
            location / { etag on; }
            """);
        await using var proxy = new TestProxy(TestProxy.Config(nginx.Port));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal("small", (await client.GetAsync("/small")).Text);
        }
        RawResponse file = await client.GetAsync("/file.bin");
        Assert.Equal(3_000_000, file.Body.Length);
        Assert.Equal(304, (await client.GetAsync("/file.bin", $"If-None-Match: {file["ETag"]}\r\n")).Status);
        RawResponse part = await client.GetAsync("/file.bin", "Range: bytes=10-19\r\n");
        Assert.Equal(206, part.Status);
        Assert.Equal(10, part.Body.Length);
        Assert.Equal(302, (await client.GetAsync("/moved")).Status);
        Assert.Equal(404, (await client.GetAsync("/none")).Status);
        await client.SendAsync("HEAD /file.bin HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("3000000", (await client.ReadAsync(toHead: true))!["Content-Length"]);
        await client.SendAsync("GET /small HTTP/1.0\r\n\r\n");
        Assert.Equal("small", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Nginx_that_closes_every_connection_is_no_trouble()
    {
        Assert.SkipWhen(NginxBackend.Program is null, "nginx is not installed");
        await using NginxBackend nginx =
            await NginxBackend.StartAsync("keepalive_timeout 0; location / { return 200 \"ok\"; }");
        await using var proxy = new TestProxy(TestProxy.Config(nginx.Port));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
        }
        await proxy.AssertQuietAsync();
    }
}
