using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Backends that come and go under load, seen from the outside.</summary>
public sealed class ResilienceScenarios : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(20) };
    private readonly int _port = PenstockProcess.FreePort();
    private readonly int _adminPort = PenstockProcess.FreePort();

    private Uri Proxy => new($"http://127.0.0.1:{_port}/");
    private Uri Admin => new($"http://127.0.0.1:{_adminPort}/");

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Flapping_backend_that_is_killed_and_restarted_fails_no_request()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess two = await EchoAsync(ports[2]);
        PenstockProcess flapping = await EchoAsync(ports[1]);
        WriteConfig("", ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");
        await using var load = new LoadRun(Proxy, clients: 8);
        await load.MoreAsync(300);
        for (int round = 0; round < 4; round++)
        {
            await flapping.KillAsync();
            await load.MoreAsync(500);
            flapping = await EchoAsync(ports[1]);
            await load.MoreAsync(300);
        }
        await load.StopAsync();
        await flapping.DisposeAsync();
        Assert.Equal([200], load.Statuses.Keys);
    }

    [Fact]
    public async Task Backend_that_falls_silent_costs_one_try_and_nothing_once_it_is_found_out()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess silent = await EchoAsync(ports[1]);
        await using PenstockProcess two = await EchoAsync(ports[2]);
        WriteConfig("retries: { per_try_timeout: 250ms }", ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");
        await using var load = new LoadRun(Proxy, clients: 8);
        await load.MoreAsync(500);

        silent.Signal("STOP");
        await OutAsync(ports[1]); // and what was under way there is over
        load.DurationsMs.Clear();
        await load.MoreAsync(1000);
        double slowest = load.DurationsMs.Skip(8).Max(); // one of each client may just be on its way
        silent.Signal("CONT");
        await load.MoreAsync(20, $"Hello from 127.0.0.1:{ports[1]}");
        await load.StopAsync();
        Assert.Equal([200], load.Statuses.Keys); // GETs are tried elsewhere
        Assert.True(slowest < 250, $"{slowest:0} ms after it was found out");
    }

    [Fact]
    public async Task Hup_reloads_the_file_and_a_bad_file_changes_nothing()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess two = await EchoAsync(ports[1]);
        WriteConfig("", ports[0]);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");
        await using var load = new LoadRun(Proxy, clients: 4);
        await load.MoreAsync(100);
        Assert.DoesNotContain($"Hello from 127.0.0.1:{ports[1]}", load.Bodies.Keys);

        WriteConfig("", ports);
        penstock.Signal("HUP");
        await load.MoreAsync(50, $"Hello from 127.0.0.1:{ports[1]}");

        WriteConfig("balanc: x", ports[1]);
        penstock.Signal("HUP");
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l =>
            l.Contains("reload_failed", StringComparison.Ordinal)
            && l.Contains("the old one stays in force", StringComparison.Ordinal)), "the log says so");
        Assert.Contains(penstock.Lines, static l => l.Contains("unknown key 'balanc'", StringComparison.Ordinal));
        await load.MoreAsync(50, $"Hello from 127.0.0.1:{ports[0]}");
        await load.StopAsync();
        Assert.Equal([200], load.Statuses.Keys);
    }

    private void WriteConfig(string more, params int[] ports) => File.WriteAllText(
        Path.Combine(_folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{_port}}
        admin: { listen: "127.0.0.1:{{_adminPort}}" }
        backends: [{{string.Join(", ", ports.Select(static p => $"http://127.0.0.1:{p}"))}}]
        health_check: { path: /health, interval: 500ms, timeout: 500ms, rise: 2, fall: 3 }
        timeouts: { connect: 250ms }
        store: memory
        access_log: off
        {{more}}
        """);

    private static Task<PenstockProcess> EchoAsync(int port) =>
        PenstockProcess.StartedAsync(null, "backends", "--count", "1", "--start-port", $"{port}");

    /// <summary>Waits until the backend is down or ejected, and has nothing in flight.</summary>
    private async Task OutAsync(int port)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (true)
        {
            JsonElement all = await _http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "upstreams"), limit.Token);
            JsonElement backend = all.GetProperty("items")[0].GetProperty("backends").EnumerateArray()
                .Single(b => b.GetProperty("address").GetString()!.EndsWith($":{port}", StringComparison.Ordinal));
            bool isOut = backend.GetProperty("health").GetString() == "down"
                || backend.GetProperty("ejected").ValueKind == JsonValueKind.String;
            if (isOut && backend.GetProperty("in_flight").GetInt32() == 0)
            {
                return;
            }
            await Task.Delay(10, limit.Token);
        }
    }
}
