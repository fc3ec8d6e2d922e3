using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Backends that stop and start under load, seen from outside.</summary>
public sealed class ResilienceScenarios(ITestOutputHelper output) : ProgramScenarios
{
    [Fact]
    public async Task Flapping_backend_that_is_killed_and_restarted_fails_no_request()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess two = await EchoAsync(ports[2]);
        PenstockProcess flapping = await EchoAsync(ports[1]);
        WriteConfig("", ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
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
        load.HadOnly(200);
    }

    [Fact]
    public async Task Backend_that_falls_silent_costs_one_try_and_nothing_once_it_is_found_out()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess silent = await EchoAsync(ports[1]);
        await using PenstockProcess two = await EchoAsync(ports[2]);
        WriteConfig("retries: { per_try_timeout: 1s }", ports);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        await using var load = new LoadRun(Proxy, clients: 8);
        await load.MoreAsync(500);

        silent.Signal("STOP");
        await OutAsync(ports[1]); // and what was under way there is over
        load.DurationsMs.Clear();
        await load.MoreAsync(1000);
        // One request of each client may be in flight; the speed of the others depends on the machine.
        output.WriteLine($"slowest after it was found out: {load.DurationsMs.Skip(8).Max():0} ms");
        silent.Signal("CONT");
        await load.MoreAsync(20, $"Hello from 127.0.0.1:{ports[1]}");
        await load.StopAsync();
        load.HadOnly(200); // GETs are tried elsewhere
    }

    [Fact]
    public async Task Hup_reloads_the_file_and_a_bad_file_changes_nothing()
    {
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        await using PenstockProcess one = await EchoAsync(ports[0]);
        await using PenstockProcess two = await EchoAsync(ports[1]);
        WriteConfig("", ports[0]);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
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
            && l.Contains("the previous one stays in force", StringComparison.Ordinal)), "the log says so");
        Assert.Contains(penstock.Lines, static l => l.Contains("unknown key 'balanc'", StringComparison.Ordinal));
        await load.MoreAsync(50, $"Hello from 127.0.0.1:{ports[0]}");
        await load.StopAsync();
        load.HadOnly(200);
    }

    private void WriteConfig(string more, params int[] ports) => File.WriteAllText(
        Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        backends: [{{string.Join(", ", ports.Select(static p => $"http://127.0.0.1:{p}"))}}]
        health_check: { path: /health, interval: 500ms, timeout: 5s, rise: 2, fall: 3 }
        timeouts: { connect: 2s }
        store: memory
        access_log: off
        {{more}}
        """);

    /// <summary>Waits until the backend is down or ejected, and has nothing in flight.</summary>
    private Task OutAsync(int port) => BackendAsync(port, static b => b.GetProperty("in_flight").GetInt32() == 0
        && (b.GetProperty("health").GetString() == "down"
            || b.GetProperty("ejected").ValueKind == JsonValueKind.String));
}
