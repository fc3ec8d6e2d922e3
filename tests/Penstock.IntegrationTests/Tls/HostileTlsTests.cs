using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>Peers that misuse TLS: what they can make Penstock do is bounded, and others are served.</summary>
public sealed class HostileTlsTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Flood_of_key_updates_ends_its_connection_and_no_other(bool answered)
    {
        await using TestProxy proxy = Start();
        using var flooder = new OpenSslClient(proxy.Url.Port);
        Task<int> flood = Task.Run(() =>
        {
            int sent = 0;
            while (sent < 100_000 && flooder.UpdateKeys(answered))
            {
                sent++;
            }
            return sent;
        });

        int served = 0;
        do
        {
            using var other = new OpenSslClient(proxy.Url.Port);
            Assert.True(other.Send(Get));
            Assert.EndsWith("ok", other.Receive());
            served++;
        }
        while (!flood.IsCompleted);

        output.WriteLine($"ended after {await flood} were sent; {served} others were served meanwhile");
        Assert.InRange(await flood, 1, 99_999);
        await NothingIsLeftAsync(proxy);
    }

    [Fact]
    public async Task Key_updates_between_requests_change_nothing()
    {
        await using TestProxy proxy = Start();
        using var client = new OpenSslClient(proxy.Url.Port);

        for (int i = 0; i < 5_000; i++)
        {
            Assert.True(client.UpdateKeys(answered: i % 2 == 0));
            if (i % 10 == 0)
            {
                Assert.True(client.Send(Get));
                Assert.EndsWith("ok", client.Receive());
            }
        }
    }

    [Theory]
    [InlineData(131_000)] // OpenSSL's bound is 131,396
    [InlineData(1_000_000)]
    [InlineData(0xFF_FF_FF)]
    public async Task Huge_client_hello_is_rejected_before_it_has_come(int length)
    {
        await using TestProxy proxy = Start();
        using var client = new TcpClient("127.0.0.1", proxy.Url.Port) { SendTimeout = 20_000, ReceiveTimeout = 20_000 };
        byte[] record = new byte[5 + 16_384];
        (record[0], record[1], record[2], record[3]) = (22, 3, 1, 0x40); // handshake, 16,384 bytes
        byte[] head = [1, (byte)(length >> 16), (byte)(length >> 8), (byte)length, 3, 3]; // ClientHello, TLS 1.2
        head.CopyTo(record, 5);
        int sent = 0;
        try
        {
            for (int i = 0; i * 16_384 < length + 4; i++)
            {
                await client.GetStream().WriteAsync(record);
                sent += record.Length;
                record.AsSpan(5, head.Length).Clear();
            }
            while (await client.GetStream().ReadAsync(record) > 0)
            {
                // An alert comes before the end.
            }
        }
        catch (IOException)
        {
            // A reset, since bytes were left.
        }

        output.WriteLine($"{sent} bytes of {length} could be sent");
        await Eventually.TrueAsync(() => Ends(proxy, "failed") == 1, "the failure is counted");
        await NothingIsLeftAsync(proxy);
    }

    [Theory]
    [InlineData("", "")] // nothing of the request has come: the connection is idle
    [InlineData("GET / HTTP/1.1\r\n", "HTTP/1.1 408")]
    public async Task Record_that_comes_byte_by_byte_is_ended_by_a_deadline(string before, string answer)
    {
        await using TestProxy proxy = Start(static config => config with
        {
            Timeouts = config.Timeouts with { Head = TimeSpan.FromSeconds(1), Idle = TimeSpan.FromSeconds(1) },
        });
        await using var relay = new FaultRelay(proxy.Url.Port) { Up = new() { SliceBytes = 64 } };
        using var tcp = new TcpClient("127.0.0.1", relay.Port);
        await using SslStream client = TestTls.Secure(tcp.GetStream());
        await client.WriteAsync(Encoding.ASCII.GetBytes(Get));
        var wire = new Wire(client);
        await wire.ReadBodyAsync((await wire.ReadHeadAsync())!, isResponse: true);
        await client.WriteAsync(Encoding.ASCII.GetBytes(before));
        relay.Up = new() { SliceBytes = 64, BytesPerSecond = 20 };

        await client.WriteAsync(Encoding.ASCII.GetBytes(new string('x', 1000))); // takes 50 s

        Assert.StartsWith(answer, await wire.ReadHeadAsync() ?? "");
    }

    private TestProxy Start(Func<ProxyConfig, ProxyConfig>? change = null)
    {
        ProxyConfig config = TestProxy.Config(_backend.Port);
        config = config with { Listeners = [config.Listeners[0] with { Tls = TestTls.Config }] };
        return new(change is null ? config : change(config));
    }

    private static long Ends(TestProxy proxy, string end) =>
        proxy.Server.ReadMetrics().Listeners[0].Handshakes.First(one => one.End == end).Count;

    private static Task NothingIsLeftAsync(TestProxy proxy) => Eventually.TrueAsync(
        () => proxy.Server.ReadMetrics().Listeners[0].Open == 0, "no connection is left");
}
