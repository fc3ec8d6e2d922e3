using System.Net;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>The effect of each signal on the program and on its access log.</summary>
public sealed class SignalScenarios : ProgramScenarios
{
    private const UnixFileMode FileMode640 =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private string Log => Path.Combine(Folder, "access.log");

    [Fact]
    public async Task Signals_that_other_proxies_know_end_nothing_and_term_stops_gracefully()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend, "stdout");
        string[] signals =
        [
            "USR1", "ALRM", "WINCH", "HUP", "PIPE", "VTALRM", "PROF", "IO", "STKFLT", "XCPU", "XFSZ", "PWR",
            "URG", "CHLD", "CONT", "35", "37", "64",
        ];

        foreach (string signal in signals)
        {
            penstock.Signal(signal);
            await SendAsync(1);
        }
        Assert.False(penstock.HasExited);
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l => l.Contains("SIGALRM: ignored",
            StringComparison.Ordinal)), "a signal that means nothing is told");
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
        Assert.Contains(penstock.Lines, static l => l.Contains("\"event\":\"stopped\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("USR1")]
    [InlineData("HUP")]
    public async Task Log_that_is_moved_away_goes_on_in_a_new_file_after_a_signal_and_loses_no_line(string signal)
    {
        const int Rotations = 100;
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend, Log);
        int sent = 0;
        using var stop = new CancellationTokenSource();
        Task load = Task.Run(async () =>
        {
            using var client = new RawClient(new IPEndPoint(IPAddress.Loopback, Port));
            while (!stop.IsCancellationRequested)
            {
                Assert.Equal(200, (await client.GetAsync()).Status);
                Interlocked.Increment(ref sent);
            }
        }, stop.Token);

        for (int i = 1; i <= Rotations; i++)
        {
            int before = Volatile.Read(ref sent);
            await Eventually.TrueAsync(() => Volatile.Read(ref sent) > before + 10, "requests pass");
            File.Move(Log, $"{Log}.{i}");
            penstock.Signal(signal);
            await Eventually.TrueAsync(() => File.Exists(Log), "the log is opened anew");
        }
        await stop.CancelAsync();
        await load;
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());

        string[] lines = [.. Directory.GetFiles(Folder, "access.log*").SelectMany(File.ReadAllLines)];
        Assert.Equal(sent, lines.Length);
        Assert.All(lines, static line => Assert.Matches("^{\"time\".*}$", line));
        Assert.Equal(FileMode640, File.GetUnixFileMode(Log));
    }

    [Fact]
    public async Task Log_that_is_cut_to_nothing_goes_on_at_its_beginning()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend, Log);
        await SendAsync(50);
        await Eventually.TrueAsync(() => File.ReadAllLines(Log).Length == 50, "all lines are there");

        using (var copyTruncate = new FileStream(Log, FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite))
        {
        }
        await SendAsync(3);

        await Eventually.TrueAsync(() => File.ReadAllLines(Log).Length == 3, "the lines behind it are there");
        Assert.Equal((byte)'{', File.ReadAllBytes(Log)[0]); // no hole of zeros
    }

    [Fact]
    public async Task Log_that_is_a_pipe_without_a_reader_holds_nothing_up_and_is_written_when_one_comes()
    {
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", [Log]))
        {
            await mkfifo.WaitForExitAsync();
        }
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend, Log);
        for (int reader = 1; reader <= 2; reader++)
        {
            int failures = reader;
            await UntilAsync(() => penstock.Lines.Count(static l =>
                l.Contains("access_log_failed", StringComparison.Ordinal)) >= failures,
                "the log tells that nobody reads the pipe");
            string copy = Path.Combine(Folder, "copy" + reader);
            using (var cat = System.Diagnostics.Process.Start("bash", ["-c", $"exec cat '{Log}' > '{copy}'"]))
            {
                await UntilAsync(
                    () => File.Exists(copy) && File.ReadAllText(copy).Contains("\"status\":200"),
                    "the reader gets lines");
                cat.Kill();
                await cat.WaitForExitAsync();
            }
        }
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    private Task<PenstockProcess> StartAsync(ScriptedBackend backend, string log)
    {
        File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: off
            backends: [http://127.0.0.1:{{backend.Port}}]
            access_log: {{log}}
            store: memory
            """);
        return PenstockProcess.StartedAsync(Folder, "run");
    }
}
