using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>The program with few descriptors. If they ran out completely, the runtime would abort it.</summary>
public sealed class DescriptorScenarios : ProgramScenarios
{
    private const int Few = 500;
    private const string Checked = "health_check: { path: /health, interval: 500ms }";

    private IPEndPoint EndPoint => new(IPAddress.Loopback, Port);

    [Fact]
    public async Task Crowd_at_the_admin_port_aborts_nothing_and_keeps_nobody_out()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, Checked);
        await using PenstockProcess penstock = await PenstockProcess.StartedWithAsync(Few, Folder, "run");
        Socket[] crowd = await CrowdAsync(2000);
        try
        {
            for (int i = 0; i < 10; i++)
            {
                await Eventually.TrueAsync(IsAliveAsync, "the API answers in the crowd");
                Assert.Equal("ok", await Http.GetStringAsync(Proxy));
            }
            Assert.InRange(penstock.Descriptors, 1, Few - 50);
            Assert.False(penstock.HasExited);
        }
        finally
        {
            Array.ForEach(crowd, static s => s.Dispose());
        }
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task Clients_that_are_in_all_reach_a_slow_backend()
    {
        var release = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.StartsWith("GET /slow", StringComparison.Ordinal))
                {
                    await release.Task;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        WriteConfig(backend.Port, Checked);
        await using PenstockProcess penstock = await PenstockProcess.StartedWithAsync(Few, Folder, "run");
        RawClient[] clients = [.. Enumerable.Range(0, 300).Select(_ => new RawClient(EndPoint))];
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l =>
            l.Contains("accept_paused", StringComparison.Ordinal)), "accepting pauses");
        Socket[] crowd = await CrowdAsync(300);
        Task<RawResponse>[] answers = [.. clients.Select(static async client =>
        {
            using (client)
            {
                return await client.GetAsync("/slow", "Connection: close\r\n");
            }
        })];
        await Eventually.TrueAsync(() => Slow(backend) >= 40, "those who are in are at the backend");
        Assert.Equal("{\"status\":\"alive\"}\n", await Http.GetStringAsync(new Uri(Admin, "livez")));
        Assert.InRange(penstock.Descriptors, 1, Few - 50);
        release.SetResult();
        RawResponse[] all = await Task.WhenAll(answers).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.All(all, static r => Assert.Equal(200, r.Status));
        Array.ForEach(crowd, static s => s.Dispose());
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task Limit_that_is_lowered_is_a_503_that_says_why_until_it_is_raised()
    {
        await using var backend = ScriptedBackend.Always("ok", "Connection: close\r\n");
        WriteConfig(backend.Port, "timeouts: { connect: 200ms }");
        await using PenstockProcess penstock = await PenstockProcess.StartedWithAsync(600, Folder, "run");
        RawClient[] clients = [.. Enumerable.Range(0, 30).Select(_ => new RawClient(EndPoint))];
        foreach (RawClient client in clients)
        {
            Assert.Equal(200, (await client.GetAsync()).Status);
        }
        LimitTo(penstock, penstock.Descriptors + 40);
        foreach (RawClient client in clients.Take(3))
        {
            RawResponse rejected = await client.GetAsync();
            Assert.Equal(503, rejected.Status);
            Assert.Contains("\"message\":\"Too many connections are open\"", rejected.Text);
        }
        string said = Assert.Single(penstock.Lines,
            static l => l.Contains("\"event\":\"no_descriptors\"", StringComparison.Ordinal));
        Assert.Contains("raise LimitNOFILE", said);
        Assert.Contains(penstock.Lines,
            static l => l.Contains("\"reason\":\"no_descriptors\"", StringComparison.Ordinal));

        LimitTo(penstock, 600);
        foreach (RawClient client in clients)
        {
            Assert.Equal(200, (await client.GetAsync()).Status);
            client.Dispose();
        }
    }

    [Fact]
    public async Task Too_few_to_start_is_a_sentence()
    {
        string program = Path.Combine(AppContext.BaseDirectory, "penstock.dll");
        await using PenstockProcess penstock = PenstockProcess.StartShell($"ulimit -n 250; exec dotnet '{program}' "
            + $"proxy --to http://127.0.0.1:1 --listen 127.0.0.1:{Port} --admin off");
        Assert.Equal(1, await penstock.ExitCodeAsync());
        Assert.Equal("error: this process may open 250 descriptors, which is not enough to start: allow at least 320, "
            + "with ulimit -n or LimitNOFILE", Assert.Single(penstock.Lines));
    }

    private void WriteConfig(int backend, string more) => File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: 127.0.0.1:{{AdminPort}} }
        backends: [http://127.0.0.1:{{backend}}]
        {{more}}
        """);

    private static int Slow(ScriptedBackend backend) =>
        backend.Heads.Count(static h => h.StartsWith("GET /slow", StringComparison.Ordinal));

    private static void LimitTo(PenstockProcess penstock, int descriptors)
    {
        using Process prlimit = Process.Start("prlimit", ["--pid", $"{penstock.Id}", $"--nofile={descriptors}:600"]);
        prlimit.WaitForExit();
        Assert.Equal(0, prlimit.ExitCode);
    }

    /// <summary>Opens this many connections to the admin port and sends nothing. Connections that the kernel cannot
    /// queue are left out.</summary>
    /// <summary>False when the connection was closed for one of the crowd before the request was read: on a starved
    /// machine that takes longer than a new connection is kept.</summary>
    private async Task<bool> IsAliveAsync()
    {
        try
        {
            return await Http.GetStringAsync(new Uri(Admin, "livez")) == "{\"status\":\"alive\"}\n";
        }
        catch (HttpRequestException e) when (e.InnerException is IOException)
        {
            return false;
        }
    }

    private async Task<Socket[]> CrowdAsync(int count)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        return await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, AdminPort, patience.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                // The kernel's queue is full.
            }
            return socket;
        }));
    }
}
