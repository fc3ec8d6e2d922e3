using Microsoft.Extensions.Logging;
using Penstock.Control;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>Tickets of TLS sessions: accepted after a rotation of the keys and a reload, and by another node that has
/// the same file of keys. Penstock itself is the client that resumes.</summary>
public sealed class TicketTests : IAsyncDisposable
{
    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("penstock-tickets-");
    private readonly ManualTime _time = new();

    private string File => Path.Combine(_folder.FullName, "tickets");

    public async ValueTask DisposeAsync()
    {
        await _backend.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Session_is_resumed_after_a_reload_and_two_rotations_and_not_after_the_third()
    {
        await using TestProxy server = Server();
        await using TestProxy client = ClientOf(server.Url.Port);
        await client.GetAsync();
        ProxyConfig config = server.Server.Config;
        server.Apply(config with
        {
            Listeners = [config.Listeners[0] with { Tls = TestTls.Config with { Hsts = TimeSpan.FromDays(1) } }],
        });

        await client.GetAsync();
        Assert.Equal((1, 1), Counts(server));
        server.Server.RotateTicketKeys();
        await client.GetAsync(); // with the old key, and gets a ticket with the new one
        Assert.Equal((1, 2), Counts(server));
        server.Server.RotateTicketKeys();
        server.Server.RotateTicketKeys();
        await client.GetAsync();
        Assert.Equal((1, 3), Counts(server));
        server.Server.RotateTicketKeys();
        server.Server.RotateTicketKeys();
        server.Server.RotateTicketKeys();
        await client.GetAsync();
        Assert.Equal((2, 3), Counts(server));
    }

    [Fact]
    public async Task Nodes_with_one_file_of_keys_resume_each_others_sessions_and_rotate_it_once()
    {
        await using TestProxy one = Server(), other = Server();
        using TicketKeeper first = Keep(one), second = Keep(other);
        await using var relay = new FaultRelay(one.Url.Port);
        await using TestProxy client = ClientOf(relay.Port);

        await client.GetAsync();
        relay.Target = other.Url.Port;
        await client.GetAsync();
        await client.GetAsync();
        Assert.Equal((1, 0), Counts(one));
        Assert.Equal((0, 2), Counts(other));
        string before = await System.IO.File.ReadAllTextAsync(File);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));

        _time.Advance(TimeSpan.FromHours(12));
        string after = await System.IO.File.ReadAllTextAsync(File);

        Assert.Equal((1, 2), (before.Count(static c => c == '\n'), after.Count(static c => c == '\n')));
        Assert.EndsWith(before, after);
        await client.GetAsync(); // with the old key
        relay.Target = one.Url.Port;
        await client.GetAsync(); // with the new one
        Assert.Equal((1, 1), Counts(one));
        Assert.Equal((0, 3), Counts(other));
    }

    [Fact]
    public async Task File_that_cannot_be_used_is_told_once_and_tickets_go_on()
    {
        var log = new RecordedLog();
        using ILoggerFactory loggers = log.Factory;
        await System.IO.File.WriteAllTextAsync(File, "no key");
        await using TestProxy server = Server();
        using var keeper = new TicketKeeper(new() { Keys = File }, server.Server, _time,
            loggers.CreateLogger<TicketKeeper>());
        await using TestProxy client = ClientOf(server.Url.Port);
        await client.GetAsync();
        _time.Advance(TimeSpan.FromMinutes(1));
        await client.GetAsync();

        Assert.Equal((1, 1), Counts(server));
        Assert.Equal(1, log.Count("ticket_keys_failing"));
        System.IO.File.Delete(File);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Contains("the file with the keys of TLS tickets works again", log.Lines);
    }

    private TicketKeeper Keep(TestProxy server) => new(new() { Keys = File }, server.Server, _time,
        LoggerFactory.Create(static _ => { }).CreateLogger<TicketKeeper>());

    private static (long Full, long Resumed) Counts(TestProxy server)
    {
        IReadOnlyList<(string End, long Count)> ends = server.Server.ReadMetrics().Listeners[0].Handshakes;
        return (ends.First(static e => e.End == "full").Count, ends.First(static e => e.End == "resumed").Count);
    }

    private TestProxy Server()
    {
        ProxyConfig config = TestProxy.Config(_backend.Port);
        return new(config with { Listeners = [config.Listeners[0] with { Tls = TestTls.Config }] });
    }

    /// <summary>A Penstock in front that opens a connection for every request.</summary>
    private static TestProxy ClientOf(int port)
    {
        ProxyConfig config = TestProxy.Config();
        return new(config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Tls = new() { Authorities = TestAuthority.Shared.Text },
                Backends = [TestProxy.Backend(port) with { IsTls = true }],
                BackendIdle = TimeSpan.Zero,
            }],
        });
    }
}
