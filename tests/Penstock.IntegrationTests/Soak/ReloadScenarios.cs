using System.Globalization;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>Reloads under load, one after the other, each with other backends, weights, limits and routes. By default
/// 30; <c>PENSTOCK_RELOADS</c> sets another number.</summary>
[Trait("tls", "no")]
public sealed class ReloadScenarios(ITestOutputHelper output) : ProgramScenarios
{
    private const int Exact = 1000;

    /// <summary>By how much memory may grow in the second half; the size of the heap varies.</summary>
    private const long SlackBytes = 24 * 1024 * 1024;

    private static readonly int Reloads = int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_RELOADS") ?? "30", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Reloads_under_load_fail_no_request_cut_no_tunnel_and_keep_every_token()
    {
        ScriptedBackend[] backends = [.. Enumerable.Range(0, 4).Select(static _ => ScriptedBackend.Always("ok"))];
        await using WebSocketEcho echo = await WebSocketEcho.StartAsync();
        string file = Path.Combine(Folder, "penstock.yaml");
        Write(0);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "--config", file);
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{Port}/ws"), default);
        await using var load = new LoadRun(new Uri(Proxy, "/a"), clients: 4);
        await using var counted = new LoadRun(new Uri(Proxy, "/exact"), clients: 1, clientId: "one");
        long half = 0;
        for (int i = 1; i <= Reloads; i++)
        {
            Write(i);
            HttpResponseMessage answer = await Http.PostAsync(new Uri(Admin, "reload"), null);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
            JsonElement changes = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("changes");
            Assert.NotEqual(0, changes.GetArrayLength());
            await load.MoreAsync(20);
            Assert.Equal($"message {i}", await EchoedAsync(socket, $"message {i}"));
            half = i == (Reloads + 1) / 2 ? penstock.MemoryBytes : half;
        }
        await Eventually.TrueAsync(() => counted.Statuses.GetValueOrDefault(429) > 0, "the exact limit is used up");
        await counted.StopAsync();
        await load.StopAsync();
        long end = penstock.MemoryBytes;

        output.WriteLine($"{Reloads} reloads, {load.Total} requests, "
            + $"{half >> 20} MiB at half time, {end >> 20} at the end");
        load.HadOnly(200);
        counted.HadOnly(200, 429);
        Assert.Equal(Exact, counted.Statuses[200]);
        Assert.True(end < half + SlackBytes, $"{end - half} bytes more");
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }

        void Write(int i) => File.WriteAllText(file, $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: 127.0.0.1:{{AdminPort}} }
            store: memory
            access_log: off
            watch: false
            limits:
              default: { capacity: {{1_000_000 + i}}, rate: {{1_000 + i}}/s }
              exact: { capacity: {{Exact}}, rate: 0.5/d }
            clients: { unknown: own }
            upstreams:
              web:
                backends:
                  - { url: 127.0.0.1:{{backends[i % 4].Port}}, weight: {{1 + (i % 9)}} }
                  - { url: 127.0.0.1:{{backends[(i + 1) % 4].Port}}, weight: {{1 + (i % 5)}} }
                balance: {{(i % 2 == 0 ? "round_robin" : "least_connections")}}
              other: { backends: [127.0.0.1:{{backends[(i + 2) % 4].Port}}] }
              echo: { backends: [127.0.0.1:{{echo.Port}}] }
            routes:
              - { path: /ws, upstream: echo }
              - { path: /exact, upstream: web, limit: exact }
              - { path: /new{{i}}/*, upstream: other }
              - { path: /a, upstream: {{(i % 3 == 0 ? "other" : "web")}} }
              - { upstream: web }
            """);
    }

    private static async Task<string> EchoedAsync(ClientWebSocket socket, string message)
    {
        await socket.SendAsync(Encoding.UTF8.GetBytes(message), WebSocketMessageType.Text, endOfMessage: true, default);
        byte[] buffer = new byte[1024];
        WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, default);
        return Encoding.UTF8.GetString(buffer, 0, received.Count);
    }
}
