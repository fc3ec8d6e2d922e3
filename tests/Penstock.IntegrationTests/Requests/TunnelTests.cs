using System.Net.WebSockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>WebSocket and other protocols after an upgrade.</summary>
public sealed class TunnelTests
{
    private const string Upgrade =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

    /// <summary>Switches to a protocol that echoes everything in capitals.</summary>
    private static ScriptedBackend Shouting(string first = "") => new(async peer =>
    {
        string head = (await peer.ReadHeadAsync())!;
        Assert.Equal("echo", Wire.Field(head, "Upgrade"));
        Assert.Equal("Upgrade", Wire.Field(head, "Connection"));
        await peer.SendAsync("HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n" + first);
        while (await peer.Reader.ReadSomeAsync() is { Length: > 0 } piece)
        {
            await peer.SendAsync(Encoding.ASCII.GetString(piece).ToUpperInvariant());
        }
        await peer.SendAsync("bye");
    });

    [Fact]
    public async Task Bytes_go_both_ways_and_an_end_is_passed_on()
    {
        await using ScriptedBackend backend = Shouting("welcome ");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(Upgrade + "early "); // did not wait for the 101
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(101, response.Status);
        Assert.Equal("echo", response["Upgrade"]);
        Assert.Equal("Upgrade", response["Connection"]);
        await client.SendAsync("hello");
        Assert.Equal("welcome EARLY HELLO", Encoding.ASCII.GetString(await client.Reader.ReadExactlyAsync(19)));
        client.ShutdownSend();
        Assert.Equal("bye", Encoding.ASCII.GetString(await client.Reader.ReadToEndAsync()));
        await proxy.AssertQuietAsync();
    }

    /// <summary>Docker's exec and attach: a POST with a body and <c>Upgrade: tcp</c>, answered 101 behind the body, or
    /// before all of it has come.</summary>
    [Theory]
    [InlineData("Content-Length: 5\r\n\r\nhello", "", false)]
    [InlineData("Content-Length: 5\r\n\r\nhel", "lo", false)]
    [InlineData("Content-Length: 5\r\n\r\nhel", "lo", true)]
    [InlineData("Content-Length: 5\r\n\r\n", "hello", false)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "", false)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhe", "llo\r\n0\r\n\r\n", true)]
    public async Task Upgrade_behind_a_body_becomes_a_tunnel(string first, string rest, bool early)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            string head = (await peer.ReadHeadAsync())!;
            Assert.Equal("tcp", Wire.Field(head, "Upgrade"));
            const string Switch = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
            await peer.SendAsync(early ? Switch + "> " : "");
            byte[] body = Wire.Field(head, "Content-Length") is null
                ? await peer.Reader.ReadBodyAsync(head, isResponse: false) : await peer.Reader.ReadExactlyAsync(5);
            await peer.SendAsync((early ? "" : Switch + "> ") + Encoding.ASCII.GetString(body) + " ");
            while (await peer.Reader.ReadSomeAsync() is { Length: > 0 } piece)
            {
                await peer.SendAsync(Encoding.ASCII.GetString(piece).ToUpperInvariant());
            }
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST /exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            + first);
        if (early)
        {
            Assert.Equal(101, (await client.ReadAsync())!.Status);
            Assert.Equal("> ", Encoding.ASCII.GetString(await client.Reader.ReadExactlyAsync(2)));
        }
        await client.SendAsync(rest + "ls ");
        if (!early)
        {
            Assert.Equal(101, (await client.ReadAsync())!.Status);
            Assert.Equal("> ", Encoding.ASCII.GetString(await client.Reader.ReadExactlyAsync(2)));
        }
        await client.SendAsync("exit");
        client.ShutdownSend();
        Assert.Equal("hello LS EXIT", Encoding.ASCII.GetString(await client.Reader.ReadToEndAsync()));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Rejected_upgrade_with_a_body_leaves_the_connection_to_http()
    {
        await using var backend = ScriptedBackend.Answer(static request =>
            $"HTTP/1.1 200 OK\r\nContent-Length: {request.Body.Length}\r\n\r\n{new string('x', request.Body.Length)}");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            + "Content-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("xxx", (await client.ReadAsync())!.Text);
        Assert.Equal("", (await client.ReadAsync())!.Text);
        Assert.Equal(2, backend.Heads.Count);
    }

    [Fact]
    public async Task Client_that_ends_while_the_backend_is_slow_has_all_its_bytes_delivered()
    {
        const int Size = 8 * 1024 * 1024;
        var ended = new TaskCompletionSource();
        var counted = new TaskCompletionSource<long>();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync("HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nlast words");
            peer.ShutdownSend();
            await ended.Task;
            long count = 0;
            while (await peer.Reader.ReadSomeAsync() is { Length: > 0 and var more })
            {
                count += more;
            }
            counted.SetResult(count);
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(Upgrade);
        Assert.Equal(101, (await client.ReadAsync())!.Status);
        Assert.Equal("last words", Encoding.ASCII.GetString(await client.Reader.ReadToEndAsync()));
        Task sending = client.SendAsync(new byte[Size]);
        await Task.WhenAny(sending, Task.Delay(300)); // until the sockets on the way are full
        ended.SetResult();
        await sending;
        client.ShutdownSend();
        Assert.Equal(Size, await counted.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Rejected_upgrade_leaves_the_connection_to_http()
    {
        await using var backend = ScriptedBackend.Always("plain");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(Upgrade + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("plain", (await client.ReadAsync())!.Text);
        Assert.Equal("plain", (await client.ReadAsync())!.Text);
        Assert.Equal(2, backend.Heads.Count);
    }

    [Fact]
    public async Task Silent_tunnel_ends_after_the_tunnel_timeout_and_a_busy_one_does_not()
    {
        await using ScriptedBackend backend = Shouting();
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Tunnel = TimeSpan.FromMilliseconds(400) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync(Upgrade);
        Assert.Equal(101, (await client.ReadAsync())!.Status);
        for (int i = 0; i < 8; i++)
        {
            await Task.Delay(100); // twice the timeout together
            await client.SendAsync("x");
            Assert.Equal("X", Encoding.ASCII.GetString(await client.Reader.ReadExactlyAsync(1)));
        }
        Assert.True(await client.IsEndedAsync());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Stop_lets_a_tunnel_go_on_until_the_drain_is_over()
    {
        await using ScriptedBackend backend = Shouting();
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Shutdown = TimeSpan.FromMilliseconds(500) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync(Upgrade);
        Assert.Equal(101, (await client.ReadAsync())!.Status);
        Task stop = proxy.Server.StopAsync();
        await client.SendAsync("still");
        Assert.Equal("STILL", Encoding.ASCII.GetString(await client.Reader.ReadExactlyAsync(5)));
        await stop.WaitAsync(TimeSpan.FromSeconds(5));
        Assert.True(await client.IsEndedAsync());
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Dotnet_websocket_client_and_server_talk_through_Penstock()
    {
        await using WebSocketEcho echo = await WebSocketEcho.StartAsync();
        await using var proxy = new TestProxy(TestProxy.Config(echo.Port));
        using var socket = new ClientWebSocket();
        socket.Options.KeepAliveInterval = TimeSpan.FromMilliseconds(50); // pings on the way
        await socket.ConnectAsync(new Uri($"ws://{proxy.EndPoint}/"), CancellationToken.None);
        byte[] buffer = new byte[300_000];
        foreach ((byte[] message, WebSocketMessageType type) in new[]
        {
            ("text ünd mehr"u8.ToArray(), WebSocketMessageType.Text),
            (new byte[200_000], WebSocketMessageType.Binary),
            ([], WebSocketMessageType.Binary),
        })
        {
            await socket.SendAsync(message, type, endOfMessage: true, CancellationToken.None);
            int length = 0;
            ValueWebSocketReceiveResult part;
            do
            {
                part = await socket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                length += part.Count;
            }
            while (!part.EndOfMessage);
            Assert.Equal(type, part.MessageType);
            Assert.True(message.AsSpan().SequenceEqual(buffer.AsSpan(0, length)));
        }
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "done", CancellationToken.None);
        Assert.Equal("done", socket.CloseStatusDescription);
        await proxy.AssertQuietAsync();
    }
}
