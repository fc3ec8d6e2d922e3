using System.Net;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Backends that the API adds and removes, while traffic flows.</summary>
public sealed class BackendsTests
{
    private const string Path = "/upstreams/web/backends";

    [Fact]
    public async Task Added_backend_gets_requests_survives_a_reload_and_ends_when_it_is_removed()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        await using AdminFixture admin = await StartAsync(first.Port);
        string address = $"127.0.0.1:{second.Port}";
        string location = $"{Path}/127.0.0.1%3A{second.Port}";

        Answer added = await admin.SendAsync("POST", Path,
            $$"""{"url":"http://{{address}}","weight":3,"max_connections":9,"backup":false}""");

        Assert.Equal((201, location), (added.Status, added.Location));
        Assert.Equal((address, 3, 9, true), (added["address"].GetString(), added["weight"].GetInt32(),
            added["max_connections"].GetInt32(), added["added"].GetBoolean()));
        Assert.Equal(["first", "second"], await AnswersAsync(admin));
        (await admin.SendAsync("POST", Path, $$"""{"url":"{{address}}"}""")).IsError(409, "already");
        (await admin.SendAsync("POST", Path, $$"""{"url":"127.0.0.1:{{first.Port}}"}""")).IsError(409, "already");

        Assert.Equal(200, (await admin.SendAsync("POST", "/reload")).Status);
        Answer kept = await admin.SendAsync("GET", location);
        Assert.Equal((3, true), (kept["weight"].GetInt32(), kept["added"].GetBoolean()));
        Assert.Equal(["first", "second"], await AnswersAsync(admin));

        Assert.Equal(204, (await admin.SendAsync("DELETE", location)).Status);
        Assert.Equal(["first"], await AnswersAsync(admin));
        (await admin.SendAsync("GET", location)).IsError(404, $"upstream 'web' has no backend '{address}'");
        (await admin.SendAsync("DELETE", location)).IsError(404);
        Assert.Contains(admin.Log.Lines, line => line.EndsWith(
            $"POST {Path} was answered 201; added web/{address}, weight 3", StringComparison.Ordinal));
        Assert.Contains(admin.Log.Lines, line => line.EndsWith(
            $"was answered 204; removed web/{address}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backend_of_the_file_stays_the_files_and_takes_over_an_added_one()
    {
        bool inFile = false;
        await using AdminFixture admin = await AdminFixture.StartAsync(reload: config =>
            With(config, inFile ? [TestProxy.Backend(9), TestProxy.Backend(10) with { Weight = 5 }]
                : [TestProxy.Backend(9)]));
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:9"))
            .IsError(409, "is in the configuration file: remove it there and reload");
        Assert.Equal(201, (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10"}""")).Status);
        Assert.Equal(201, (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:11"}""")).Status);

        inFile = true;
        Assert.Equal(200, (await admin.SendAsync("POST", "/reload")).Status);
        Answer taken = await admin.SendAsync("GET", $"{Path}/127.0.0.1:10");
        Assert.Equal((5, false), (taken["weight"].GetInt32(), taken["added"].GetBoolean()));
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:10")).IsError(409, "configuration file");

        inFile = false;
        Assert.Equal(200, (await admin.SendAsync("POST", "/reload")).Status);
        (await admin.SendAsync("GET", $"{Path}/127.0.0.1:10")).IsError(404);
        Assert.True((await admin.SendAsync("GET", $"{Path}/127.0.0.1:11"))["added"].GetBoolean());
    }

    [Fact]
    public async Task Exchange_in_flight_ends_normally_although_its_backend_is_removed()
    {
        var release = new TaskCompletionSource();
        await using var slow = ScriptedBackend.OkAfter(release.Task);
        await using AdminFixture admin = await AdminFixture.StartAsync(
            change: static config => With(config, TestProxy.Backend(9) with { Backup = true }));
        string address = $"{Path}/127.0.0.1:{slow.Port}";
        await admin.SendAsync("POST", Path, $$"""{"url":"127.0.0.1:{{slow.Port}}"}""");
        using var client = new RawClient(admin.Host.Proxy.EndPoints[0]);
        Task<RawResponse> inFlight = client.GetAsync();
        await Eventually.TrueAsync(() => slow.Heads.Count == 1, "a request is in flight");

        (await admin.SendAsync("DELETE", address + "?in_flight=reject")).IsError(409, "has exchanges in flight");
        (await admin.SendAsync("DELETE", address + "?in_flight=maybe")).HasFaults("in_flight must be finish or reject");
        Assert.Equal(204, (await admin.SendAsync("DELETE", address + "?in_flight=finish")).Status);
        release.SetResult();

        Assert.Equal("ok", (await inFlight).Text);
        await admin.SendAsync("POST", Path, $$"""{"url":"127.0.0.1:{{slow.Port}}"}""");
        Assert.Equal(204, (await admin.SendAsync("DELETE", address + "?in_flight=reject")).Status);
    }

    [Fact]
    public async Task Name_is_added_and_removed_as_a_whole()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer added = await admin.SendAsync("POST", Path, """{"url":"http://localhost:7"}""");

        Assert.Equal((201, $"{Path}/localhost%3A7", "localhost:7"),
            (added.Status, added.Location, added["name"].GetString()));
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:7"))
            .IsError(409, "is an address of the name 'localhost:7', which was added: remove the name");
        Assert.Equal(200, (await admin.SendAsync("GET", $"{Path}/localhost:7")).Status);
        Assert.Equal(204, (await admin.SendAsync("DELETE", $"{Path}/localhost:7")).Status);
        (await admin.SendAsync("GET", $"{Path}/127.0.0.1:7")).IsError(404);
    }

    [Fact]
    public async Task Bad_backend_is_told_with_every_fault_as_in_the_file_and_changes_nothing()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", Path,
            """{"url":"ftp://a:1","weight":0,"backup":"maybe","colour":1,"weight":2}""")).HasFaults(
            "url 'ftp://a:1' is not an http:// or https:// address; write http://host:port",
            "weight '0' is not a whole number from 1 to 256", "backup 'maybe' is not true or false",
            "body unknown key 'colour'; known keys: url, weight, max_connections, backup, stored",
            "body duplicate key 'weight'; the first is on line 1");
        (await admin.SendAsync("POST", Path, "{}")).HasFaults("body missing 'url'; write url: http://10.0.0.5:8080");
        (await admin.SendAsync("POST", Path, """{"url":"${HOME}:1"}"""))
            .HasFaults("url '${HOME}:1' does not name a server; write http://host:port");
        (await admin.SendAsync("POST", Path, """{"url":"${file:/etc/hostname}:1"}"""))
            .HasFaults("url '${file:/etc/hostname}:1' has more than host and port; write http://host:port");
        (await admin.SendAsync("POST", Path, "[]")).IsError(400, "the body must be a JSON object, not a list");
        (await admin.SendAsync("POST", Path, "{")).IsError(400, "not valid JSON");
        (await admin.SendAsync("POST", "/upstreams/no/backends", """{"url":"a:1"}"""))
            .IsError(404, "there is no upstream 'no'");
        Assert.Equal(1, (await admin.SendAsync("GET", "/upstreams"))["items"][0].GetProperty("backends")
            .GetArrayLength());
    }

    [Fact]
    public async Task Admin_api_without_a_token_is_no_backend()
    {
        int port = PenstockProcess.FreePort();
        await using AdminFixture open = await AdminFixture.StartAsync(change: config => At(config, port));
        (await open.SendAsync("POST", Path, $$"""{"url":"localhost:{{port}}"}""")).HasFaults("url must not be that of "
            + "the admin API, which has no token: everybody could change limits; set admin.token or admin.tokens");
        Assert.Equal(201, (await open.SendAsync("POST", Path, """{"url":"localhost:7"}""")).Status);

        static PenstockConfig At(PenstockConfig config, int port) => config with
        {
            Admin = config.Admin with { Listen = new IPEndPoint(IPAddress.Loopback, port) },
        };
    }

    private static Task<AdminFixture> StartAsync(int port) => AdminFixture.StartAsync(
        change: config => With(config, TestProxy.Backend(port)), reload: static config => config);

    private static PenstockConfig With(PenstockConfig config, params BackendConfig[] backends) => config with
    {
        Proxy = config.Proxy with { Upstreams = [config.Proxy.Upstreams[0] with { Backends = backends }] },
    };

    /// <summary>The different answers to some requests.</summary>
    private static async Task<string[]> AnswersAsync(AdminFixture admin)
    {
        using var client = new RawClient(admin.Host.Proxy.EndPoints[0]);
        var answers = new SortedSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < 8; i++)
        {
            answers.Add((await client.GetAsync()).Text);
        }
        return [.. answers];
    }
}
