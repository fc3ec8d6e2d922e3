using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>The access log and the events of the program, as an operator sees and configures them.</summary>
public sealed class LogScenarios : ProgramScenarios
{
    private const string Script = "/usr/bin/script";

    private string Log => Path.Combine(Folder, "access.log");

    [Fact]
    public async Task Reload_changes_what_the_access_log_holds_and_metrics_count_what_it_loses()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, $"access_log: {Log}");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        await SendAsync(1);
        WriteConfig(backend.Port,
            $"access_log: {{ to: {Log}, format: '$method $path $status', only: {{ status: 2xx }} }}");
        await ReloadAsync();
        await SendAsync(1);
        await Eventually.TrueAsync(() => File.ReadAllLines(Log) is [['{', ..], "GET / 200"], "both lines are there");

        WriteConfig(backend.Port, $"access_log: syslog:unix:{Folder}/nobody");
        await ReloadAsync();
        await SendAsync(3);
        await Eventually.TrueAsync(async () => (await Http.GetStringAsync(new Uri(Admin, "/metrics")))
            .Contains("penstock_access_log_dropped_lines_total 3\n", StringComparison.Ordinal), "they are counted");
        Assert.Single(penstock.Lines, static l => l.Contains("access_log_failed", StringComparison.Ordinal));
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Theory]
    [InlineData("env -u NO_COLOR TERM=xterm", "\\e\\[32m200\\e\\[0m GET / 127\\.0\\.0\\.1 -> 127\\.0\\.0\\.1:")]
    [InlineData("env NO_COLOR=1", "^\\d\\d:\\d\\d:\\d\\d 200 GET / 127\\.0\\.0\\.1 -> 127\\.0\\.0\\.1:")]
    public async Task Access_lines_on_a_terminal_are_for_a_person(string environment, string begin)
    {
        Assert.SkipUnless(File.Exists(Script), "the program script of util-linux is not installed");
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, "");
        string run = Path.Combine(Folder, "run.sh");
        await File.WriteAllTextAsync(run,
            $"echo $$ > pid; exec {environment} dotnet '{PenstockProcess.Program}' run\n");
        await using var terminal = PenstockProcess.StartShell(
            $"cd '{Folder}' && exec {Script} -qfec 'bash run.sh' /dev/null < /dev/null");
        string id = Path.Combine(Folder, "pid");
        await Eventually.TrueAsync(() => File.Exists(id) && new FileInfo(id).Length > 0, "it runs");
        try
        {
            await Eventually.TrueAsync(() => terminal.Lines.Any(static l => l.Contains("Ctrl+C to stop",
                StringComparison.Ordinal)), "the banner is there");
            await SendAsync(1);
            var line = new Regex(begin + "\\d+ \\d+\\.\\d{3} ms", RegexOptions.None, TimeSpan.FromSeconds(1));
            await Eventually.TrueAsync(() => terminal.Lines.Any(line.IsMatch), "the line is there");
            Assert.DoesNotContain(terminal.Lines, static l => l.StartsWith('{'));
        }
        finally
        {
            Signals.Send(int.Parse(await File.ReadAllTextAsync(id), CultureInfo.InvariantCulture), "TERM");
        }
        await Eventually.TrueAsync(() => terminal.HasExited, "it stops");
    }

    [Fact]
    public async Task Level_of_events_is_live()
    {
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // it does not listen
        int port = ((IPEndPoint)closed.LocalEndPoint!).Port;
        WriteConfig(port, "health_check: { type: tcp, interval: 100ms }\nlog: { level: warning }");
        await using var penstock = PenstockProcess.Start(Folder, "run");
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l => Has(l, "backend_down")), "the backend is down");
        await Eventually.TrueAsync(IsReadyAsync, "the admin API answers");
        Assert.DoesNotContain(penstock.Lines, static l => Has(l, "started") || Has(l, "check_failed"));

        WriteConfig(port, "health_check: { type: tcp, interval: 100ms }\nlog: { level: debug }");
        await ReloadAsync();
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l => Has(l, "check_failed")), "checks are events");

        static bool Has(string line, string word) =>
            line.Contains($"\"event\":\"{word}\"", StringComparison.Ordinal);
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            using HttpResponseMessage answer = await Http.GetAsync(new Uri(Admin, "/readyz"));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private async Task ReloadAsync()
    {
        using HttpResponseMessage answer = await Http.PostAsync(new Uri(Admin, "/reload"), null);
        Assert.Contains("\"restart_needed\":[]", await answer.Content.ReadAsStringAsync());
    }

    private void WriteConfig(int backend, string more) => File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        backends: [http://127.0.0.1:{{backend}}]
        store: memory
        {{more}}
        """);
}
