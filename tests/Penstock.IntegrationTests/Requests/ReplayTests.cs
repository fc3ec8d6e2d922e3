using System.Globalization;
using System.Text.Json;
using Penstock.Commands;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary><c>penstock simulate</c> on the access log of a live run.</summary>
public sealed class ReplayTests
{
    [Theory]
    [InlineData(5, 2.0, "2/s", 1)]
    [InlineData(1, 0.1, "0.1/s", 2)]
    [InlineData(3, 10.0 / 60, "10/m", 3)]
    public async Task Replay_of_a_live_runs_access_log_decides_as_the_run_did(
        int capacity, double rate, string rateText, int seed)
    {
        string log = Path.GetTempFileName();
        var time = new ManualTime();
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(capacity, rate) },
            Clients = new ClientsConfig
            {
                Identify = [new IdentitySource(IdentityKind.Header, "X-Client-ID")],
                Unknown = UnknownClients.Own,
            },
            Routes = [new RouteConfig { Host = "test", Upstream = "web" }],
            AccessLog = new() { To = AccessLogTarget.File(log) },
        };
        int rejected = 0;
        var server = new ProxyServer(config, new LogLines(), time);
        await using (server)
        {
            server.Start();
            using var client = new RawClient(server.EndPoints[0]);
            var random = new Random(seed);
            for (int i = 0; i < 400; i++)
            {
                time.Advance(TimeSpan.FromMilliseconds(random.Next(3) * random.Next((int)(600 / rate))));
                RawResponse answer = await client.GetAsync("/", $"X-Client-ID: c{random.Next(3)}\r\n");
                rejected += answer.Status == 429 ? 1 : 0;

                // Its answer proves that the previous line is written; no limit applies to this request.
                await client.SendAsync("GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
                Assert.Equal(404, (await client.ReadAsync())!.Status);
            }
        }

        var output = new StringWriter();
        int code = await RootCommandLine.RunAsync(
            ["simulate", "--log", log, "--capacity", capacity.ToString(CultureInfo.InvariantCulture), "--rate",
                rateText, "--format", "json"], new Terminal(output, TextWriter.Null));
        Assert.Equal(0, code);
        JsonElement report = JsonElement.Parse(output.ToString());
        Assert.InRange(rejected, 20, 360);
        Assert.Equal(400, report.GetProperty("requests").GetInt32());
        Assert.Equal(400, report.GetProperty("not_limited").GetInt32());
        Assert.Equal(rejected, report.GetProperty("rejected").GetInt32());
        Assert.Equal(400, report.GetProperty("decided_as_in_log").GetInt32());
        File.Delete(log);
    }
}
