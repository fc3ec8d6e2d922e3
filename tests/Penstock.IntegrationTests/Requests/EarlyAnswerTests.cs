using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Answers that Penstock sends before it has the whole request. Clients that write the whole request before
/// they read must get them too.</summary>
public sealed class EarlyAnswerTests
{
    private const int UploadBytes = 8_000_000;

    private static readonly byte[] Upload = new byte[UploadBytes];

    private static ScriptedBackend Rejecting(int answerBytes, bool closes) => new(async peer =>
    {
        await peer.ReadHeadAsync();
        await peer.SendAsync($"HTTP/1.1 413 Content Too Large\r\nContent-Length: {answerBytes}\r\n\r\n");
        await peer.SendAsync(new byte[answerBytes]);
        if (!closes)
        {
            await peer.Reader.ReadToEndAsync();
        }
    });

    private static ProxyConfig Limited(int port) => TestProxy.Config(port) with
    {
        Limits = new Dictionary<string, LimitConfig> { ["default"] = new(1, 0.001) },
    };

    /// <summary>Writes a request of 8 MB as curl's and many libraries' simple calls do, then reads.</summary>
    private static async Task<RawResponse> UploadThenReadAsync(TestProxy proxy, bool chunked = false)
    {
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST /upload HTTP/1.1\r\nHost: a\r\n" + (chunked
            ? $"Transfer-Encoding: chunked\r\n\r\n{UploadBytes:x}\r\n" : $"Content-Length: {UploadBytes}\r\n\r\n"));
        await client.SendAsync(Upload.AsMemory(0, UploadBytes / 2));
        await Task.Delay(1200); // longer than a moment, much less than the bound
        await client.SendAsync(Upload.AsMemory(UploadBytes / 2));
        await client.SendAsync(chunked ? "\r\n0\r\n\r\n" : "");
        RawResponse response = (await client.ReadAsync())!;
        Assert.True(await client.IsEndedAsync());
        return response;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Client_that_writes_first_reads_why_it_was_rejected(bool chunked)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend.Port));
        Assert.Equal(200, (await proxy.GetAsync()).Status);
        Assert.Equal(429, (await UploadThenReadAsync(proxy, chunked)).Status);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Client_that_writes_first_reads_that_there_is_no_route()
    {
        await using var proxy = new TestProxy(TestProxy.Config(1) with { Routes = [] });
        Assert.Equal(404, (await UploadThenReadAsync(proxy)).Status);
    }

    [Fact]
    public async Task Client_that_writes_first_reads_that_its_body_is_too_large()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Bounds = new BoundsConfig { BodyBytes = 1000 },
        });
        Assert.Equal(413, (await UploadThenReadAsync(proxy)).Status);
    }

    [Theory]
    [InlineData(2, true)]
    [InlineData(2, false)]
    [InlineData(1_500_000, false)] // more than the sockets on the way hold
    public async Task Client_that_writes_first_reads_an_early_answer_of_the_backend(int answerBytes, bool closes)
    {
        await using ScriptedBackend backend = Rejecting(answerBytes, closes);
        await using TestProxy proxy = TestProxy.To(backend);
        RawResponse response = await UploadThenReadAsync(proxy);
        Assert.Equal(413, response.Status);
        Assert.Equal(answerBytes, response.Body.Length);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Client_that_never_ends_its_upload_does_not_hold_up_a_stop()
    {
        await using var proxy = new TestProxy(TestProxy.Config(1) with { Routes = [] });
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
        Assert.Equal(404, (await client.ReadAsync())!.Status);
        Task stop = proxy.Server.StopAsync();
        Assert.True(await client.IsEndedAsync());
        await stop;
    }
}
