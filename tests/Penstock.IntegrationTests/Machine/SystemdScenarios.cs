using System.Net.Sockets;
using System.Text;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>The program under systemd; the test plays systemd's notification socket.</summary>
public sealed class SystemdScenarios : ProgramScenarios
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Systemd_is_told_of_start_reload_and_stop(bool isAbstract)
    {
        string name = Path.Combine(Folder, "notify");
        using var systemd = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.ReceiveTimeout = 20_000;
        systemd.Bind(new UnixDomainSocketEndPoint(isAbstract ? "\0" + name : name));
        await using PenstockProcess penstock = await StartedAsync((isAbstract ? "@" : "") + name);

        Assert.Equal("READY=1", Told(systemd));
        penstock.Signal("HUP");
        Assert.Matches("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$", Told(systemd));
        Assert.Equal("READY=1", Told(systemd));
        penstock.Signal("TERM");
        Assert.Equal("STOPPING=1", Told(systemd));
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task Systemd_that_does_not_listen_is_no_failure()
    {
        await using PenstockProcess penstock = await StartedAsync("/nonexistent/notify");

        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    private Task<PenstockProcess> StartedAsync(string notifySocket)
    {
        File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: off
            backends: [http://127.0.0.1:1]
            store: memory
            """);
        return PenstockProcess.StartedBehindAsync($"export NOTIFY_SOCKET='{notifySocket}'; exec", Folder, "run");
    }

    private static string Told(Socket systemd)
    {
        byte[] buffer = new byte[256];
        return Encoding.ASCII.GetString(buffer, 0, systemd.Receive(buffer));
    }
}
