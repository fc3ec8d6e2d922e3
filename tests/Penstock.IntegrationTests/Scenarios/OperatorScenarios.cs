using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>What an operator does with the program, from outside: start, check, break, stop.</summary>
public sealed class OperatorScenarios : ProgramScenarios
{
    [Fact]
    public async Task Demo_answers_from_alternating_backends_and_shows_its_api()
    {
        await using PenstockProcess demo = await PenstockProcess.StartedAsync(null, "demo",
            "--listen", $"127.0.0.1:{Port}", "--admin", $"127.0.0.1:{AdminPort}", "--backends", "2");
        var bodies = new List<string>();
        for (int i = 0; i < 6; i++)
        {
            bodies.Add(await Http.GetStringAsync(Proxy));
        }
        Assert.Equal(2, bodies.Distinct().Count());
        Assert.All(bodies.Zip(bodies.Skip(1)), static p => Assert.NotEqual(p.First, p.Second));
        Assert.Contains("swagger-ui", await Http.GetStringAsync(new Uri(Admin, "docs/index.html")));
        Assert.Contains("/clients", await Http.GetStringAsync(new Uri(Admin, "openapi/v1.json")));
        demo.Signal("TERM");
        Assert.Equal(0, await demo.ExitCodeAsync());
        Assert.Contains(demo.Lines, static l => l.Contains("\"event\":\"stopped\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_of_the_api_passes_exactly_its_tokens_and_keeps_its_bucket_over_kill_9()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port);
        PenstockProcess first = await PenstockProcess.StartedAsync(Folder, "run");
        await using PenstockProcess penstock = first;
        var sinceCreated = Stopwatch.StartNew();
        using (HttpResponseMessage created = await Http.PostAsJsonAsync(new Uri(Admin, "clients"),
            new { client_id = "client9", capacity = 100, rate_per_sec = 5.0, current_tokens = 50 }))
        {
            Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        }

        await using (var load = new LoadRun(Proxy, clients: 4, clientId: "client9"))
        {
            await Task.Delay(2000); // the length of the load, not a wait for something
            await load.StopAsync();
            double atMostSeconds = sinceCreated.Elapsed.TotalSeconds;
            Assert.Equal([200, 429], load.Statuses.Keys.Order());
            Assert.InRange(load.Statuses[200], Math.Floor(50 + (5 * load.LastSentSeconds)) - 1,
                Math.Floor(50 + (5 * atMostSeconds)));
        }

        // A changed limit applies to the next request.
        using (HttpResponseMessage changed = await Http.PutAsJsonAsync(new Uri(Admin, "clients/client9"),
            new { capacity = 1000, rate_per_sec = 5.0, current_tokens = 700 }))
        {
            Assert.True(changed.IsSuccessStatusCode);
        }
        using (var request = new HttpRequestMessage(HttpMethod.Get, Proxy))
        {
            request.Headers.Add("X-Client-ID", "client9");
            using HttpResponseMessage response = await Http.SendAsync(request);
            Assert.Equal("\"client\";q=1000;w=200", response.Headers.GetValues("RateLimit-Policy").Single());
        }

        await Eventually.TrueAsync(() => StoredTokens() is > 690 and < 715, "the tokens are saved");
        var watch = Stopwatch.StartNew();
        double before = await TokensAsync();
        await penstock.KillAsync();
        await using PenstockProcess again = await PenstockProcess.StartedAsync(Folder, "run");
        double after = await TokensAsync();
        // Refilled by the time since the stop, but not full; the saved tokens may be from before the last request.
        Assert.InRange(after, before, before + (5 * watch.Elapsed.TotalSeconds) + 1.01);
    }

    [Fact]
    public async Task Killed_backend_costs_no_get_and_comes_back_after_its_checks()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        List<PenstockProcess> backends = [];
        foreach (int port in ports)
        {
            backends.Add(await EchoAsync(port));
        }
        WriteConfig(ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        await using var load = new LoadRun(Proxy, clients: 8);
        await load.MoreAsync(500);

        await backends[1].KillAsync();
        await load.MoreAsync(2000);
        await HealthAsync(ports[1], "down");
        backends[1] = await EchoAsync(ports[1]);
        await load.MoreAsync(50, $"Hello from 127.0.0.1:{ports[1]}");
        await load.StopAsync();
        load.HadOnly(200);
        Assert.Contains(penstock.Lines, l =>
            l.Contains($"backend default/127.0.0.1:{ports[1]} is DOWN: connection refused", StringComparison.Ordinal));

        foreach (PenstockProcess backend in backends)
        {
            await backend.DisposeAsync();
        }
        using HttpResponseMessage none = await Http.GetAsync(Proxy);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, none.StatusCode);
        JsonElement error = await none.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(503, error.GetProperty("code").GetInt32());
        Assert.Equal("Service not available", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Stopped_backend_costs_at_most_the_timeouts_until_checks_find_it()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess steady = await EchoAsync(ports[0]);
        await using PenstockProcess stopped = await EchoAsync(ports[1]);
        WriteConfig(ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        await using var load = new LoadRun(Proxy, clients: 8);
        await load.MoreAsync(500);

        stopped.Signal("STOP");
        await HealthAsync(ports[1], "down");
        await load.MoreAsync(1000);
        int failed = load.Statuses.GetValueOrDefault(504);
        await load.MoreAsync(2000);
        stopped.Signal("CONT");
        await load.MoreAsync(50, $"Hello from 127.0.0.1:{ports[1]}");
        await load.StopAsync();

        // Only requests that were sent to it before the checks found out fail: at most a few per client.
        load.HadOnly(200, 504);
        Assert.InRange(load.Statuses.GetValueOrDefault(504), failed, failed + 8); // each was under way at most
    }

    [Fact]
    public async Task Too_few_descriptors_make_clients_wait_and_fail_nobody()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedWithAsync(400, Folder, "run");
        RawClient[] clients = [.. Enumerable.Range(0, 300).Select(_ =>
            new RawClient(new IPEndPoint(IPAddress.Loopback, Port)))];
        RawResponse[] responses = await Task.WhenAll(clients.Select(static async client =>
        {
            using (client)
            {
                return await client.GetAsync("/", "Connection: close\r\n");
            }
        })).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.All(responses, static r => Assert.Equal(200, r.Status));
        Assert.InRange(penstock.Lines.Count(static l => l.Contains("accept_paused", StringComparison.Ordinal)), 1, 20);
    }

    [Fact]
    public async Task Check_tells_five_mistakes_at_once_and_exits_with_2()
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "bad.yaml"), """
            lisen: 0.0.0.0:8080
            backends:
              - http://127.0.0.1:9001
              - { url: http://127.0.0.1:9002, weigth: 3 }
            balance: round_robbin
            health_check: { path: /health, interval: 5 }
            limits:
              default: { capacity: 0, rate: 10/s }
            """);
        await using PenstockProcess check = PenstockProcess.Start(Folder, "check", "--config", "bad.yaml");
        Assert.Equal(2, await check.ExitCodeAsync());
        string[] places = [.. check.Lines.Where(static l => l.Contains("--> ", StringComparison.Ordinal))
            .Select(static l => l.Trim())];
        Assert.Equal(["--> bad.yaml:1:1", "--> bad.yaml:4:35", "--> bad.yaml:5:10", "--> bad.yaml:6:42",
            "--> bad.yaml:8:24"], places);
        Assert.Contains(check.Lines, static l => l.Contains("did you mean 'weight'?", StringComparison.Ordinal));
        Assert.Contains("5 errors in bad.yaml", check.Lines);
    }

    [Fact]
    public async Task Large_bodies_pass_in_constant_memory()
    {
        const long Size = 400L * 1024 * 1024;
        int port = PenstockProcess.FreePort();
        await using PenstockProcess backend = await EchoAsync(port);
        WriteConfig(port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");

        using (HttpResponseMessage down = await Http.GetAsync(new Uri(Proxy, $"bytes/{Size}"),
            HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.Equal(Size, await CountAsync(await down.Content.ReadAsStreamAsync()));
        }
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Proxy, "upload"))
        {
            Content = new StreamContent(new Zeroes(Size)),
        };
        request.Headers.TransferEncodingChunked = true;
        using HttpResponseMessage up = await Http.SendAsync(request);
        Assert.Equal(Size, (await up.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("bytes").GetInt64());
        Assert.InRange(penstock.PeakMemoryBytes, 1, 150 * 1024 * 1024);
    }

    private void WriteConfig(params int[] ports) => File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        clients: { identify: [header:X-Client-ID, query:client_id, address] }
        backends: [{{string.Join(", ", ports.Select(static p => $"http://127.0.0.1:{p}"))}}]
        health_check: { path: /health, interval: 200ms, timeout: 2s, rise: 2, fall: 3 }
        timeouts: { response: 3s }
        store: sqlite:penstock.db
        """);

    private Task HealthAsync(int port, string health) =>
        BackendAsync(port, b => b.GetProperty("health").GetString() == health);

    private async Task<double> TokensAsync() =>
        (await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "clients/client9")))
        .GetProperty("current_tokens").GetDouble();

    /// <summary>Reads the database file directly, without the program.</summary>
    private double StoredTokens()
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection(
            $"Data Source={Path.Combine(Folder, "penstock.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT tokens FROM clients WHERE client_id = 'client9'";
        return (double)command.ExecuteScalar()!;
    }

    private static async Task<long> CountAsync(Stream stream)
    {
        byte[] buffer = new byte[128 * 1024];
        long total = 0;
        while (await stream.ReadAsync(buffer) is > 0 and var count)
        {
            total += count;
        }
        return total;
    }

    /// <summary>A body of this many bytes, made without keeping it in memory.</summary>
    private sealed class Zeroes(long length) : Stream
    {
        private long _left = length;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int part = (int)Math.Min(_left, count);
            _left -= part;
            return part;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
