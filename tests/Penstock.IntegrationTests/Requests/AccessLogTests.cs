using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>What the access log writes about real requests, where, and about which.</summary>
public sealed partial class AccessLogTests : IDisposable
{
    private const int MatchTimeoutMs = 1000;
    private const string Template = "$method $path $status $reason";

    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-log-").FullName;

    private string Log => Path.Combine(_folder, "access.log");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Only_failed_requests_get_a_line_and_rejected_ones_are_sampled()
    {
        await using var backend = ScriptedBackend.Answer(static r => r.Line.Contains("/broken")
            ? "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ProxyConfig config = Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(10, 0.001) },
            AccessLog = new()
            {
                To = AccessLogTarget.File(Log),
                Statuses = [new(400, 499), new(500, 599)],
                Samples = [new(new(429, 429), 4)],
            },
        };
        await using (var proxy = new TestProxy(config))
        {
            using RawClient client = proxy.Connect();
            for (int i = 0; i < 20; i++)
            {
                await client.GetAsync(i % 5 == 0 ? "/broken" : "/fine");
            }
        }

        string[] lines = await File.ReadAllLinesAsync(Log);
        Assert.Equal(2, lines.Count(static l => l.Contains("\"status\":500,", StringComparison.Ordinal)));
        string[] rejected = [.. lines.Where(static l => l.Contains("\"status\":429,", StringComparison.Ordinal))];
        Assert.Equal(3, rejected.Length); // of 10
        Assert.All(rejected, static l => Assert.Contains(",\"sample\":4,", l));
        Assert.Equal(5, lines.Length);
    }

    [Fact]
    public async Task Line_shows_no_credential_in_any_format()
    {
        const string Secret = "s3cr3t";
        await using var backend = ScriptedBackend.Always("ok");
        await using (TestProxy proxy = new(Config(backend.Port)))
        {
            using RawClient client = proxy.Connect();
            foreach (string? format in new[] { null, "combined", AllVariables() })
            {
                foreach (bool query in new[] { false, true })
                {
                    proxy.Apply(proxy.Server.Config with
                    {
                        AccessLog = new() { To = AccessLogTarget.File(Log), Format = format, ShowsQuery = query },
                    });
                    await client.GetAsync($"/a?api_key={Secret}&Client-Id={Secret}&page=2",
                        $"Authorization: Bearer {Secret}\r\nCookie: sid={Secret}\r\nX-API-Key: {Secret}\r\n"
                        + $"Referer: http://b/?token={Secret}\r\n");
                }
            }
        }
        string[] lines = await File.ReadAllLinesAsync(Log);
        Assert.Equal(6, lines.Length);
        Assert.All(lines, static line => Assert.DoesNotContain(Secret, line));
        Assert.Equal([false, true, false, true, false, true],
            lines.Select(static line => line.Contains("page=2", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Reload_changes_target_format_and_filter_and_no_line_is_lost()
    {
        const int Reloads = 20;
        await using var backend = ScriptedBackend.Always("ok");
        int sent = 0;
        await using (var proxy = new TestProxy(Config(backend.Port) with { Loops = 2 }))
        {
            using var stop = new CancellationTokenSource();
            Task[] load = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
            {
                using RawClient client = proxy.Connect();
                while (!stop.IsCancellationRequested)
                {
                    await client.GetAsync();
                    Interlocked.Increment(ref sent);
                }
            }))];
            for (int i = 1; i <= Reloads; i++)
            {
                int before = Volatile.Read(ref sent);
                await Eventually.TrueAsync(() => Volatile.Read(ref sent) > before + 20, "requests pass");
                proxy.Apply(proxy.Server.Config with
                {
                    AccessLog = new()
                    {
                        To = AccessLogTarget.File($"{Log}.{i}"), Format = i % 2 == 0 ? null : Template,
                        Statuses = [new(200, 200)],
                    },
                });
            }
            await stop.CancelAsync();
            await Task.WhenAll(load);
            Assert.Equal(0, proxy.Server.ReadMetrics().AccessLogLinesDropped);
        }

        string[] files = [.. Directory.GetFiles(_folder)];
        Assert.Equal(Reloads + 1, files.Length);
        Assert.Equal(sent, files.Sum(static file => File.ReadAllLines(file).Length));
        Assert.All(await File.ReadAllLinesAsync($"{Log}.1"), static l => Assert.Equal("GET / 200 ok", l));
        Assert.All(await File.ReadAllLinesAsync($"{Log}.2"), static l => Assert.StartsWith("{", l));
    }

    [Fact]
    public async Task Reload_with_a_target_that_cannot_be_opened_changes_nothing()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port));
        ProxyStartException fault = Assert.Throws<ProxyStartException>(() => proxy.Apply(
            proxy.Server.Config with { AccessLog = new() { To = AccessLogTarget.File(_folder + "/no/access.log") } }));

        Assert.Contains("No such file", fault.Message);
        await proxy.GetAsync();
        await Eventually.TrueAsync(() => File.ReadAllLines(Log).Length == 1, "the old log is written");
    }

    [Fact]
    public async Task Reload_can_turn_the_log_off_and_on()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using (var proxy = new TestProxy(Config(backend.Port)))
        {
            foreach (AccessLogTarget target in new[] { AccessLogTarget.Off, AccessLogTarget.File(Log) })
            {
                proxy.Apply(proxy.Server.Config with { AccessLog = new() { To = target } });
                await proxy.GetAsync($"/{target.Kind}");
            }
        }
        Assert.Contains("\"path\":\"/File\"", Assert.Single(await File.ReadAllLinesAsync(Log)));
    }

    [Fact]
    public async Task Syslog_by_udp_gets_one_message_per_line()
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)server.LocalEndPoint!).Port;
        await IsSentAsync(server, new(AccessLogKind.SyslogUdp, "syslog:udp://localhost", "localhost", port));
    }

    [Fact]
    public async Task Syslog_on_this_machine_gets_one_message_per_line()
    {
        using Socket server = Daemon();
        await IsSentAsync(server, Syslog);
    }

    [Fact]
    public async Task Syslog_that_is_away_delays_no_request_and_gets_lines_when_it_is_back()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port) with { AccessLog = new() { To = Syslog } });
        using RawClient client = proxy.Connect();
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal(200, (await client.GetAsync()).Status);
            return proxy.Server.ReadMetrics().AccessLogLinesDropped >= 20;
        }, "lines are dropped and counted");
        string cause = Assert.Single(proxy.Log.Lines, static l => l.Contains("cannot be written",
            StringComparison.Ordinal));
        Assert.Contains("syslog:unix:", cause);
        Assert.Contains("there is no such socket", cause);

        using Socket server = Daemon();
        Task<string> message = ReceiveAsync(server);
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal(200, (await client.GetAsync()).Status);
            return message.IsCompleted;
        }, "lines come again");
        Assert.Contains("\"status\":200", await message);
        Assert.Single(proxy.Log.Lines, static l => l.Contains("cannot be written", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Syslog_that_does_not_read_delays_no_request_and_no_stop()
    {
        await using var backend = ScriptedBackend.Always("ok");
        using Socket server = Daemon();
        await using (var proxy = new TestProxy(Config(backend.Port) with { AccessLog = new() { To = Syslog } }))
        {
            using RawClient client = proxy.Connect();
            await Eventually.TrueAsync(async () =>
            {
                Assert.Equal(200, (await client.GetAsync()).Status);
                return proxy.Server.ReadMetrics().AccessLogLinesDropped > 0;
            }, "lines are dropped and counted");
            Assert.Contains("does not read its socket", Assert.Single(proxy.Log.Lines,
                static l => l.Contains("cannot be written", StringComparison.Ordinal)));
        }
    }

    private AccessLogTarget Syslog =>
        new(AccessLogKind.SyslogSocket, $"syslog:unix:{_folder}/log", $"{_folder}/log");

    private Socket Daemon()
    {
        var server = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint(Syslog.Address));
        return server;
    }

    private async Task IsSentAsync(Socket server, AccessLogTarget target)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port) with
        {
            AccessLog = new() { To = target, Format = Template },
        });
        using RawClient client = proxy.Connect();
        string[] paths = [.. Enumerable.Range(0, 30).Select(static i => $"/{i}")];
        foreach (string path in paths)
        {
            await client.GetAsync(path);
        }
        foreach (string path in paths)
        {
            Match message = Message().Match(await ReceiveAsync(server));
            Assert.True(message.Success, message.Value);
            Assert.Equal($"GET {path} 200 ok", message.Groups["line"].Value);
            Assert.Equal(Environment.ProcessId, int.Parse(message.Groups["id"].Value));
        }
        Assert.Equal(0, server.Available);
    }

    private static async Task<string> ReceiveAsync(Socket server)
    {
        byte[] room = new byte[64 * 1024];
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        return Encoding.ASCII.GetString(room, 0, await server.ReceiveAsync(room, patience.Token));
    }

    private ProxyConfig Config(int port) => TestProxy.Config(port) with
    {
        AccessLog = new() { To = AccessLogTarget.File(Log) },
        Clients = new() { Identify = [new(IdentityKind.Query, "client_id"), new(IdentityKind.Header, "X-API-Key")] },
    };

    private static string AllVariables() => "$" + string.Join(" $", AccessLogRules.Variables);

    [GeneratedRegex(@"^<190>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]+ penstock (?<id>\d+) access - (?<line>.*)$",
        RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Message();
}
