using System.Net;
using System.Net.Sockets;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>What an operator reads when Penstock cannot start: one sentence that names the thing and says what to
/// do.</summary>
public sealed class StartFaultScenarios : ProgramScenarios
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    [Theory]
    [InlineData("admin", "admin cannot listen on {admin}: another program listens there: stop it")]
    [InlineData("listen", "cannot listen on {listen}: another program listens there: stop it")]
    [InlineData("admin-socket", "admin cannot listen on {folder}/gone/a.sock: its folder does not exist")]
    [InlineData("listen-socket", "cannot listen on unix:{folder}/gone/l.sock: its folder does not exist")]
    [InlineData("address", "cannot listen on 192.0.2.1:80: no interface of this machine has that address")]
    [InlineData("log", "cannot write the access log {folder}: Is a directory; let this user write there, or choose")]
    [InlineData("sqlite", "store {folder}/gone/p.db: directory {folder}/gone does not exist")]
    [InlineData("postgres", "store postgres://127.0.0.1:{closed}/db: Connection refused; is PostgreSQL running there?")]
    public async Task Start_that_fails_says_why_in_one_line(string what, string expected)
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        int closed = PenstockProcess.FreePort();
        (string listen, string admin) = ($"127.0.0.1:{Port}", $"127.0.0.1:{AdminPort}");
        (string store, string log) = ("memory", "stdout");
        switch (what)
        {
            case "admin": admin = taken.LocalEndPoint!.ToString()!; break;
            case "listen": listen = taken.LocalEndPoint!.ToString()!; break;
            case "admin-socket": admin = $"unix:{Folder}/gone/a.sock"; break;
            case "listen-socket": listen = $"unix:{Folder}/gone/l.sock"; break;
            case "address": listen = "192.0.2.1:80"; break;
            case "log": log = Folder; break;
            case "sqlite": store = $"sqlite:{Folder}/gone/p.db"; break;
            case "postgres": store = $"postgres://me:s3cr3t@127.0.0.1:{closed}/db"; break;
        }
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: "{{listen}}"
            admin: { listen: "{{admin}}" }
            store: "{{store}}"
            access_log: "{{log}}"
            backends: [http://127.0.0.1:1]
            """);
        await using PenstockProcess penstock = PenstockProcess.Start(Folder, "run");

        Assert.Equal(1, await penstock.ExitCodeAsync());
        string line = Assert.Single(penstock.Lines, static l =>
            !l.StartsWith("{\"time\"", StringComparison.Ordinal) || l.Contains("\"level\":\"error\""));
        Assert.Contains("error: " + expected.Replace("{admin}", admin).Replace("{listen}", listen)
            .Replace("{folder}", Folder).Replace("{closed}", $"{closed}"), line);
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("   at ") || l.Contains("s3cr3t"));
    }

    [Fact]
    public async Task File_of_another_process_is_rejected_by_name_until_that_one_is_killed()
    {
        string file = Path.Combine(Folder, "penstock.db");
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:0
            admin: { listen: 127.0.0.1:0 }
            store: sqlite:penstock.db
            backends: [http://127.0.0.1:1]
            """);
        PenstockProcess first = await PenstockProcess.StartedAsync(Folder, "run");
        await using (first)
        {
            Assert.All((string[])[file, file + "-wal", file + "-shm", file + ".lock"],
                static name => Assert.Equal(OwnerOnly, File.GetUnixFileMode(name)));
            Directory.CreateDirectory(Path.Combine(Folder, "other"));
            File.CreateSymbolicLink(Path.Combine(Folder, "other", "penstock.db"), file);
            foreach (string store in (string[])["sqlite:penstock.db", "sqlite:other/penstock.db"])
            {
                await using PenstockProcess second = PenstockProcess.Start(
                    Folder, "proxy", "--to", "http://127.0.0.1:1",
                    "--listen", "127.0.0.1:0", "--admin", "off", "--store", store);
                Assert.Equal(1, await second.ExitCodeAsync());
                Assert.Contains(second.Lines, l => l.Contains(
                    $"store {store["sqlite:".Length..]}: process {first.Id} on {Environment.MachineName} uses it"));
            }
            await first.KillAsync();
        }
        File.SetUnixFileMode(file, (UnixFileMode)0b110_100_100); // as before there were modes
        await using PenstockProcess third = await PenstockProcess.StartedAsync(Folder, "run");
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(file));
    }
}
