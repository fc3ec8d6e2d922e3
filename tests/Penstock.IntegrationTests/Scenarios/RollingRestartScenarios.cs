using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Two Penstocks behind another one, which checks <c>/readyz</c> of their admin API, are restarted one after
/// the other.</summary>
public sealed class RollingRestartScenarios : ProgramScenarios
{
    [Fact]
    public async Task Restart_of_each_node_behind_a_checking_balancer_fails_no_request()
    {
        await using var backend = ScriptedBackend.Always("ok");
        int[] ports = [PenstockProcess.FreePort(), PenstockProcess.FreePort()];
        PenstockProcess[] nodes = [await NodeAsync(0), await NodeAsync(1)];
        string front = Path.Combine(Folder, "front.yaml");
        // A node answers checks on the port of its traffic, by a route to its own admin API.
        await File.WriteAllTextAsync(front, $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: 127.0.0.1:{{AdminPort}} }
            store: memory
            access_log: off
            retries: off
            passive_health: off
            backends: [127.0.0.1:{{ports[0]}}, 127.0.0.1:{{ports[1]}}]
            health_check: { path: /readyz, interval: 100ms, timeout: 10s, rise: 1, fall: 1 }
            """);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "--config", front);
        await using var load = new LoadRun(Proxy, clients: 4);
        for (int i = 0; i < nodes.Length; i++)
        {
            await load.MoreAsync(50);
            nodes[i].Signal("TERM");
            await BackendAsync(ports[i], static b => b.GetProperty("health").GetString() == "down");
            Assert.False(nodes[i].HasExited); // it still serves while the balancer in front notices
            Assert.Equal(0, await nodes[i].ExitCodeAsync());
            await nodes[i].DisposeAsync();
            nodes[i] = await NodeAsync(i);
            await BackendAsync(ports[i], static b => b.GetProperty("health").GetString() == "up");
        }
        await load.MoreAsync(50);
        await load.StopAsync();

        load.HadOnly(200);
        foreach (PenstockProcess node in nodes)
        {
            await node.DisposeAsync();
        }

        Task<PenstockProcess> NodeAsync(int i)
        {
            int adminPort = PenstockProcess.FreePort();
            string file = Path.Combine(Folder, $"node{i}.yaml");
            File.WriteAllText(file, $$"""
                listen: 127.0.0.1:{{ports[i]}}
                admin: { listen: 127.0.0.1:{{adminPort}} }
                store: memory
                access_log: off
                timeouts: { drain_delay: 5s }
                upstreams:
                  web: { backends: [127.0.0.1:{{backend.Port}}] }
                  self: { backends: [127.0.0.1:{{adminPort}}] }
                routes: [{ path: /readyz, upstream: self }, { upstream: web }]
                """);
            return PenstockProcess.StartedAsync(Folder, "run", "--config", file);
        }
    }
}
