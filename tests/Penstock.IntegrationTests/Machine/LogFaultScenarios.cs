using System.Globalization;
using System.Net;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>An access log that cannot be written does not delay requests.</summary>
public sealed class LogFaultScenarios : ProgramScenarios
{
    [Fact]
    public async Task Full_disk_drops_access_lines_and_says_so_once_and_how_many_when_there_is_room()
    {
        Assert.SkipWhen(MountedFolder.Obstacle is not null, MountedFolder.Obstacle ?? "");
        using var disk = MountedFolder.InMemory("1m");
        string file = Path.Combine(disk.Path, "access.log");
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, file);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        await SendAsync(10);
        await Eventually.TrueAsync(() => Lines(file) == 10, "lines are written");

        disk.Fill();
        await UntilAsync(penstock, "access_log_failed");
        await SendAsync(1000);
        disk.MakeRoom();
        await UntilAsync(penstock, "access_log_recovered");

        Assert.Contains(penstock.Lines, static l => l.Contains("lines lost since start", StringComparison.Ordinal));
        Assert.Contains(penstock.Lines, static l => l.Contains("No space left", StringComparison.Ordinal));
        int failures = penstock.Lines.Count(static l => l.Contains("access_log_failed", StringComparison.Ordinal));
        Assert.InRange(failures, 1, 5); // a short piece may fit where a long one did not; not one for each piece
        int before = Lines(file);
        await SendAsync(10);
        await Eventually.TrueAsync(() => Lines(file) >= before + 10, "lines are written again");
        Assert.InRange(Lines(file, cut: true), 0, failures); // and no whole one hangs at a cut one
    }

    [Fact]
    public async Task Reader_of_stdout_that_is_stopped_holds_no_request_up_and_no_stop()
    {
        const int Requests = 5000; // 1.5 MB of lines; a pipe holds 64 kB
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, "stdout");
        await using PenstockProcess penstock = await PenstockProcess.StartedBehindAsync(
            "exec > >(echo $BASHPID > reader; exec cat); exec", Folder, "run");
        string reader = Path.Combine(Folder, "reader");
        await Eventually.TrueAsync(() => File.Exists(reader) && new FileInfo(reader).Length > 0, "the reader runs");
        int id = int.Parse(await File.ReadAllTextAsync(reader), CultureInfo.InvariantCulture);

        Signals.Send(id, "STOP");
        await SendAsync(Requests);
        Assert.InRange(AccessLines(penstock), 0, Requests - 1);
        Signals.Send(id, "CONT");
        await Eventually.TrueAsync(() => AccessLines(penstock) == Requests, "no line is lost");

        Signals.Send(id, "STOP");
        await SendAsync(Requests);
        penstock.Signal("TERM");
        await Eventually.TrueAsync(() => penstock.HasExited, "it stops without its reader");
        Signals.Send(id, "CONT");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    private static int AccessLines(PenstockProcess penstock) =>
        penstock.Lines.Count(static l => l.Contains("\"status\":200", StringComparison.Ordinal));

    /// <summary>Whole lines in the file, or cut ones.</summary>
    private static int Lines(string file, bool cut = false)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        int lines = 0;
        while (reader.ReadLine() is { } line)
        {
            lines += line.Length > 0 && cut != (line.EndsWith('}') && line.LastIndexOf("{\"time\"",
                StringComparison.Ordinal) == 0) ? 1 : 0;
        }
        return lines;
    }

    /// <summary>Sends requests until the log has this line.</summary>
    private Task UntilAsync(PenstockProcess penstock, string name) => UntilAsync(
        () => penstock.Lines.Any(l => l.Contains(name, StringComparison.Ordinal)), $"the log says {name}");

    private void WriteConfig(int backend, string log) => File.WriteAllText(
        Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: off
        backends: [http://127.0.0.1:{{backend}}]
        access_log: {{log}}
        store: memory
        """);
}
