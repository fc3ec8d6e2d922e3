using System.Text;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Times in which a client need not send: they do not count for the minimum rate of a body. That rate is
/// checked after five seconds, which these tests wait, all at the same time.</summary>
public sealed class SilentClientTests
{
    private static readonly TimeSpan LongerThanGrace = TimeSpan.FromSeconds(6);

    private static TestProxy Patient(ScriptedBackend backend) => new(TestProxy.Config(backend.Port) with
    {
        Timeouts = new() { Response = TimeSpan.FromSeconds(60), BackendIdle = TimeSpan.FromSeconds(30) },
    });

    [Fact]
    public async Task Client_may_be_silent_while_it_waits_for_leave_and_while_it_reads() => await Task.WhenAll(
        ClientThatWaitsForA100IsNotSlow(), DuplexClientMayThinkAboutWhatItReads());

    private static async Task ClientThatWaitsForA100IsNotSlow()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            string head = (await peer.ReadHeadAsync())!;
            await Task.Delay(LongerThanGrace);
            await peer.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
            byte[] body = await peer.Reader.ReadBodyAsync(head, isResponse: false);
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{body.Length}");
        });
        await using TestProxy proxy = Patient(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal(100, (await client.ReadAsync())!.Status);
        await client.SendAsync("bo");
        await Task.Delay(100);
        await client.SendAsync("dy");
        Assert.Equal("4", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    private static async Task DuplexClientMayThinkAboutWhatItReads()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            Assert.Equal("3\r\nhow\r\n", Encoding.ASCII.GetString(await peer.Reader.ReadExactlyAsync(8)));
            await peer.SendAsync("3\r\nbye\r\n0\r\n\r\n");
            await peer.Reader.ReadToEndAsync();
        });
        await using TestProxy proxy = Patient(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        string head = (await client.Reader.ReadHeadAsync())!;
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        await Task.Delay(LongerThanGrace);
        await client.SendAsync("3\r\nhow\r\n");
        Assert.Equal("hellobye", Encoding.ASCII.GetString(await client.Reader.ReadBodyAsync(head, isResponse: true)));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_that_gives_no_leave_is_a_504_and_not_the_clients_fault()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.Reader.ReadToEndAsync();
        });
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Timeouts = new() { Response = TimeSpan.FromMilliseconds(300) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal(504, (await client.ReadAsync())!.Status);
        await proxy.AssertQuietAsync();
    }
}
