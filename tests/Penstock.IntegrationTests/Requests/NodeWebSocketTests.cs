using System.Globalization;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Node's <c>ws</c> on both sides, because it is the most common WebSocket library.</summary>
public sealed class NodeWebSocketTests
{
    private const string Server = """
        const { WebSocketServer } = require('ws');
        const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
        server.on('listening', () => console.log(server.address().port));
        server.on('connection', (socket, request) => {
          socket.on('message', (data, binary) => socket.send(data, { binary }));
          socket.on('close', (code, why) => console.log(`closed ${code} ${why}`));
          socket.send(`hello from ${request.headers['x-forwarded-for']} on ${request.url}`);
        });
        """;

    private const string Client = """
        const WebSocket = require('ws');
        const socket = new WebSocket(process.argv[1], ['chat'], { perMessageDeflate: true });
        const big = Buffer.alloc(300000, 7);
        socket.on('message', (data, binary) =>
          console.log(binary ? `binary ${data.length} ${data.equals(big)}` : `text ${data}`));
        socket.on('pong', data => console.log(`pong ${data}`));
        socket.on('close', (code, why) => { console.log(`closed ${code} ${why}`); process.exit(0); });
        require('readline').createInterface({ input: process.stdin }).on('line', line => {
          if (line === 'binary') socket.send(big);
          else if (line === 'ping') socket.ping('p');
          else if (line === 'close') socket.close(4001, 'enough');
          else socket.send(line);
        });
        """;

    [Trait("tls", "no")]
    [Fact]
    public async Task Text_binary_ping_and_close_pass_also_during_a_drain()
    {
        Assert.SkipUnless(NodeScript.HasWebSockets, "node and its package ws are not installed");
        await using NodeScript server = NodeScript.Start(Server);
        int port = int.Parse((await server.ReadLineAsync())!, CultureInfo.InvariantCulture);
        await using var proxy = new TestProxy(TestProxy.Config(port));
        await using NodeScript client = NodeScript.Start(Client, $"ws://{proxy.EndPoint}/chat?x=y");
        Assert.Equal("text hello from 127.0.0.1 on /chat?x=y", await client.ReadLineAsync());
        await TalkAsync(client);

        Task stop = proxy.Server.StopAsync();
        await Eventually.TrueAsync(() => proxy.Server.Stopping, "it drains");
        await TalkAsync(client);
        Assert.False(stop.IsCompleted);
        await client.WriteLineAsync("close");
        Assert.Equal("closed 4001 enough", await server.ReadLineAsync());
        Assert.Equal("closed 4001 enough", await client.ReadLineAsync());
        await stop.WaitAsync(TimeSpan.FromSeconds(4)); // the socket's end ends the drain, not its timeout
    }

    private static async Task TalkAsync(NodeScript client)
    {
        foreach ((string say, string hear) in new[]
        {
            ("grüße", "text grüße"), ("binary", "binary 300000 true"), ("ping", "pong p"), ("", "text "),
        })
        {
            await client.WriteLineAsync(say);
            Assert.Equal(hear, await client.ReadLineAsync());
        }
    }
}
