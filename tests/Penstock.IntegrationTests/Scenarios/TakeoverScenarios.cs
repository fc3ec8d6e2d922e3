using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>A new process takes over from the one that runs, while clients send requests.</summary>
public sealed class TakeoverScenarios(SharedPostgres postgres, ITestOutputHelper output) : ProgramScenarios
{
    private const int Capacity = 400;

    private string File => Path.Combine(Folder, "penstock.yaml");

    [Theory]
    [InlineData("sqlite", false)]
    [InlineData("sqlite", true)]
    [InlineData("postgres", false)]
    public async Task No_request_is_lost_and_every_client_gets_exactly_its_tokens(string kind, bool saves)
    {
        await using var backend = ScriptedBackend.Always("ok");
        string store = kind == "sqlite" ? $"sqlite:{Folder}/penstock.db"
            : await (await postgres.StartedAsync()).NewDatabaseAsync();
        await WriteAsync($$"""
            store: {{store}}
            timeouts: { idle: 5s }
            upstreams: { web: { backends: [127.0.0.1:{{backend.Port}}] } }
            clients: { save_unregistered: {{(saves ? "true" : "false")}} }
            limits:
              slow: { capacity: {{Capacity}}, rate: 1/h }
              all: { capacity: {{2 * Capacity}}, rate: 1/h, by: all }
            routes:
              - { path: /limited, upstream: web, limit: slow }
              - { path: /shared, upstream: web, limit: all }
              - { upstream: web, limit: off }
            """);
        await using PenstockProcess first = await StartAsync();
        await CreateClientAsync("registered");
        await using var load = new LoadRun(Proxy, clients: 8);
        await using var fresh = new LoadRun(Proxy, clients: 2, keepAlive: false);
        // An unregistered client, by its address, and a registered one.
        await using var unknown = new Takers(Port, "/limited", "");
        await using var shared = new Takers(Port, "/shared", "");
        await using var known = new Takers(Port, "/limited", "X-API-Key: registered\r\n");
        Takers[] takers = [unknown, shared, known];
        await load.MoreAsync(200);
        await Task.WhenAll(takers.Select(static t => t.UntilAsync(Capacity / 4)));

        await using PenstockProcess second = await TakeOverAsync();
        await EndedAsync(first);
        await Task.WhenAll(takers.Select(static t => t.UntilAsync(Capacity / 2)));
        second.Signal("USR2");
        int third = await SuccessorOfAsync(second);
        try
        {
            await EndedAsync(second);
            await Task.WhenAll(takers.Select(static t => t.UntilExhaustedAsync()));
            await load.MoreAsync(200);
            await Task.WhenAll(load.StopAsync(), fresh.StopAsync());
        }
        finally
        {
            Signals.Send(third, "TERM");
        }
        await Eventually.TrueAsync(() => !Directory.Exists($"/proc/{third}"), "the last process has ended");

        output.WriteLine($"{load.Total} requests on kept and {fresh.Total} on new connections, none lost; "
            + $"admitted: {string.Join(", ", takers.Select(static t => t.Admitted))}");
        load.HadOnly(200);
        fresh.HadOnly(200);
        Assert.Equal(Capacity, unknown.Admitted);
        Assert.Equal(2 * Capacity, shared.Admitted);
        Assert.Equal(Capacity, known.Admitted);
    }

    [Fact]
    public async Task Download_and_websocket_of_the_old_process_end_by_themselves()
    {
        var release = new TaskCompletionSource();
        await using var slow = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
            await release.Task;
            await peer.SendAsync("67890");
        });
        await using WebSocketEcho echo = await WebSocketEcho.StartAsync();
        await WriteAsync($$"""
            store: memory
            timeouts: { shutdown: 1s }
            upstreams:
              slow: { backends: [127.0.0.1:{{slow.Port}}] }
              echo: { backends: [127.0.0.1:{{echo.Port}}] }
            routes: [{ path: /slow, upstream: slow }, { upstream: echo }]
            """);
        await using PenstockProcess first = await StartAsync();
        using var download = new RawClient(new IPEndPoint(IPAddress.Loopback, Port));
        await download.SendAsync("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
        string head = (await download.Reader.ReadHeadAsync())!;
        using var talk = new ClientWebSocket();
        await talk.ConnectAsync(new Uri($"ws://127.0.0.1:{Port}/"), TestContext.Current.CancellationToken);
        await SayAsync(talk, "before");

        await using PenstockProcess second = await TakeOverAsync();
        await SayAsync(talk, "after");
        Assert.False(first.HasExited);
        release.SetResult();
        Assert.Equal("1234567890", System.Text.Encoding.ASCII.GetString(
            await download.Reader.ReadBodyAsync(head, isResponse: true)));
        await SayAsync(talk, "after the download");
        Assert.False(first.HasExited);
        await talk.CloseAsync(WebSocketCloseStatus.NormalClosure, null, TestContext.Current.CancellationToken);
        Assert.Equal(0, await first.ExitCodeAsync());
        Assert.False(second.HasExited);
    }

    [Fact]
    public async Task Process_that_cannot_take_over_changes_nothing()
    {
        await using var backend = ScriptedBackend.Always("ok");
        string valid = $$"""
            store: sqlite:{{Folder}}/penstock.db
            backends: [127.0.0.1:{{backend.Port}}]
            """;
        await WriteAsync(valid);
        await using PenstockProcess penstock = await StartAsync();
        await CreateClientAsync("before");
        await using var load = new LoadRun(Proxy, clients: 4);

        // The new version does not accept the file: the old process says what became of it.
        await System.IO.File.WriteAllTextAsync(File, "backends: nonsense");
        penstock.Signal("USR2");
        await LineAsync(penstock, "\"event\":\"successor_failed\"");

        // Somebody connects and leaves; then one that speaks another protocol, and one that dies half way.
        await WriteAsync(valid);
        string address = Control.Takeover.TakeoverText.AddressOf(File);
        foreach (byte[] bytes in (byte[][])[[], [1, 2, 3], [255, 255, 255, 127, 0], Hello])
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(address)); // waits while another one is served
            await socket.SendAsync(bytes);
            if (bytes == Hello)
            {
                await LineAsync(penstock, "\"event\":\"takeover_begun\"");
                await socket.SendAsync((byte[])[0, 0, 0, 0, (byte)Control.Takeover.TakeoverKind.Quiesce]);
                await RejectsEditsAsync();
            }
        }
        await Eventually.TrueAsync(() => penstock.Lines.Count(static l =>
            l.Contains("\"event\":\"takeover_failed\"", StringComparison.Ordinal)) >= 4, "each attempt is told");
        await CreateClientAsync("after"); // edits are possible again

        await using PenstockProcess second = await TakeOverAsync();
        Assert.Equal(0, await penstock.ExitCodeAsync());
        await load.MoreAsync(50);
        await load.StopAsync();
        load.HadOnly(200);
        foreach (string client in (string[])["before", "after"])
        {
            Assert.True((await Http.GetAsync(new Uri(Admin, $"clients/{client}"))).IsSuccessStatusCode, client);
        }
    }

    [Fact]
    public async Task New_process_knows_what_the_operator_and_the_checks_have_found()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var drained = ScriptedBackend.Always("drained");
        int dead = PenstockProcess.FreePort();
        await WriteAsync($$"""
            store: memory
            backends: [127.0.0.1:{{backend.Port}}, 127.0.0.1:{{drained.Port}}, 127.0.0.1:{{dead}}]
            retries: off
            health_check: { path: /, interval: 1h, timeout: 10s, rise: 1, fall: 1, initial: down }
            """);
        await using PenstockProcess first = await StartAsync();
        await BackendAsync(backend.Port, static b => b.GetProperty("health").GetString() == "up");
        Uri one = new(Admin, $"upstreams/default/backends/127.0.0.1:{drained.Port}");
        (await Http.PatchAsJsonAsync(one, new { state = "drain", weight = 7 })).EnsureSuccessStatusCode();
        await using var load = new LoadRun(Proxy, clients: 2);
        await load.MoreAsync(20);

        await using PenstockProcess second = await TakeOverAsync();
        await load.MoreAsync(200);
        await load.StopAsync();

        load.HadOnly(200);
        Assert.Equal(["ok"], load.Bodies.Keys);
        await BackendAsync(drained.Port, static b => b.GetProperty("state").GetString() == "drain"
            && b.GetProperty("weight").GetInt32() == 7);
    }

    [Fact]
    public async Task Unix_socket_and_admin_api_answer_afterwards_and_the_file_of_the_socket_is_kept()
    {
        await using var backend = ScriptedBackend.Always("ok");
        string path = Path.Combine(Folder, "http.sock");
        await WriteAsync($$"""
            store: memory
            listen: [127.0.0.1:{{Port}}, "unix:{{path}}"]
            backends: [127.0.0.1:{{backend.Port}}]
            """, listens: false);
        await using PenstockProcess first = await StartAsync();
        // A connection that waits in the admin listener of the old process when it closes is reset.
        await using var admin = new LoadRun(new Uri(Admin, "livez"), clients: 2, keepAlive: false);
        await admin.MoreAsync(20);
        using var keeps = new RawClient(new UnixDomainSocketEndPoint(path));
        Assert.Equal(200, (await keeps.GetAsync()).Status);

        await using PenstockProcess second = await TakeOverAsync();
        RawResponse last = await keeps.GetAsync();
        Assert.Equal((200, "close"), (last.Status, last["Connection"]));
        Assert.Equal(0, await first.ExitCodeAsync());
        await admin.StopAsync();
        output.WriteLine($"{admin.Statuses.GetValueOrDefault(-1)} of {admin.Total} calls of the admin API failed");
        (await Http.GetAsync(new Uri(Admin, "livez"))).EnsureSuccessStatusCode();
        using (var client = new RawClient(new UnixDomainSocketEndPoint(path)))
        {
            Assert.Equal(200, (await client.GetAsync()).Status);
        }
        second.Signal("TERM");
        Assert.Equal(0, await second.ExitCodeAsync());
        Assert.False(System.IO.File.Exists(path));
    }

    [Fact]
    public async Task Option_without_a_running_process_is_an_ordinary_start()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await WriteAsync($"store: memory\nbackends: [127.0.0.1:{backend.Port}]\n");
        await using PenstockProcess penstock = await TakeOverAsync(from: false);
        await SendAsync(1);
    }

    private static byte[] Hello { get; } = [38, 0, 0, 0, 0, .. """{"Protocol":1,"Version":"0.0.0-tests"}"""u8];

    private Task WriteAsync(string rest, bool listens = true) => System.IO.File.WriteAllTextAsync(File,
        (listens ? $"listen: 127.0.0.1:{Port}\n" : "")
        + $"admin: {{ listen: 127.0.0.1:{AdminPort} }}\naccess_log: off\nwatch: false\n{rest}");

    private Task<PenstockProcess> StartAsync() => PenstockProcess.StartedAsync(Folder, "run", File);

    private async Task<PenstockProcess> TakeOverAsync(bool from = true)
    {
        PenstockProcess successor = await PenstockProcess.StartedAsync(Folder, "run", File, "--takeover");
        Assert.Equal(from, successor.Lines.Any(static l => l.Contains("took_over", StringComparison.Ordinal)));
        return successor;
    }

    private static async Task<int> SuccessorOfAsync(PenstockProcess process)
    {
        await LineAsync(process, "\"event\":\"handed_over\"");
        string line = process.Lines.First(static l => l.Contains("\"handed_over\"", StringComparison.Ordinal));
        return JsonDocument.Parse(line).RootElement.GetProperty("process").GetInt32();
    }

    private static Task LineAsync(PenstockProcess process, string text) => Eventually.TrueAsync(
        () => process.Lines.Any(l => l.Contains(text, StringComparison.Ordinal)), $"a line with {text}");

    /// <summary>Its last idle connection may stay until <c>timeouts.idle</c>. Its outputs stay open in the process that
    /// it has started.</summary>
    private static Task EndedAsync(PenstockProcess old) =>
        Eventually.TrueAsync(() => old.HasExited, "the old process has ended");

    private async Task CreateClientAsync(string id) => (await Http.PostAsJsonAsync(new Uri(Admin, "clients"),
        new { client_id = id, capacity = Capacity, rate_per_sec = 0.0001 })).EnsureSuccessStatusCode();

    private Task RejectsEditsAsync() => Eventually.TrueAsync(async () =>
    {
        using HttpResponseMessage edit = await Http.PostAsJsonAsync(new Uri(Admin, "clients"),
            new { client_id = Guid.NewGuid().ToString("N"), capacity = 1, rate_per_sec = 1 });
        JsonElement body = await edit.Content.ReadFromJsonAsync<JsonElement>();
        return edit.StatusCode == HttpStatusCode.ServiceUnavailable
            && body.GetProperty("message").GetString()!.Contains("takes over", StringComparison.Ordinal);
    }, "edits are rejected while another process takes over");

    private static async Task SayAsync(ClientWebSocket socket, string text)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        await socket.SendAsync(bytes, WebSocketMessageType.Text, endOfMessage: true,
            TestContext.Current.CancellationToken);
        byte[] echo = new byte[bytes.Length];
        await socket.ReceiveAsync(echo.AsMemory(), TestContext.Current.CancellationToken);
        Assert.Equal(text, System.Text.Encoding.UTF8.GetString(echo));
    }

    /// <summary>Two clients that take tokens all the time, each on a connection that it keeps as long as it
    /// may.</summary>
    private sealed class Takers : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task[] _running;
        private int _admitted;
        private int _rejected;

        public Takers(int port, string path, string fields) =>
            _running = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() => RunAsync(port, path, fields)))];

        public int Admitted => Volatile.Read(ref _admitted);

        public Task UntilAsync(int admitted) => WaitAsync(() => Admitted >= admitted, $"{admitted} are admitted");

        public async Task UntilExhaustedAsync()
        {
            await WaitAsync(() => Volatile.Read(ref _rejected) >= 20, "the tokens are used up");
            await DisposeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Task.WhenAll(_running);
        }

        private async Task WaitAsync(Func<bool> isSo, string what)
        {
            await Eventually.TrueAsync(() => isSo() || _running.Any(static r => r.IsFaulted), what);
            await (_running.FirstOrDefault(static r => r.IsFaulted) ?? Task.CompletedTask);
        }

        private async Task RunAsync(int port, string path, string fields)
        {
            RawClient? client = null;
            while (!_stop.IsCancellationRequested)
            {
                client ??= new RawClient(new IPEndPoint(IPAddress.Loopback, port));
                RawResponse response = await client.GetAsync(path, fields);
                Assert.Contains(response.Status, (int[])[200, 429]);
                Interlocked.Increment(ref response.Status == 200 ? ref _admitted : ref _rejected);
                if (response["Connection"] == "close")
                {
                    client.Dispose();
                    client = null;
                }
                await Task.Delay(response.Status == 200 ? 2 : 20, CancellationToken.None);
            }
            client?.Dispose();
        }
    }
}
