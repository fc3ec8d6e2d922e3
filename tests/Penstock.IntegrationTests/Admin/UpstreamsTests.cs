using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Lists upstreams, changes backends, explains requests and reloads, through the API.</summary>
public sealed class UpstreamsTests
{
    private const string Backend = "/upstreams/web/backends/127.0.0.1%3A9";

    [Fact]
    public async Task Backend_is_drained_weighed_and_brought_back()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        Answer drained = await admin.SendAsync("PATCH", Backend, """{"state":"drain","weight":7}""");
        Assert.Equal(200, drained.Status);
        Assert.Equal("drain", drained["state"].GetString());
        Assert.Equal(7, drained["weight"].GetInt32());
        Assert.True(drained["drained"].GetBoolean());
        JsonElement seen = (await admin.SendAsync("GET", "/upstreams"))["items"][0].GetProperty("backends")[0];
        Assert.Equal("drain", seen.GetProperty("state").GetString());

        Answer back = await admin.SendAsync("PATCH", Backend, """{"state":"ready","weight":null}""");
        Assert.Equal("ready", back["state"].GetString());
        Assert.Equal(1, back["weight"].GetInt32());
        Assert.Contains(admin.Log.Lines, l => l.Contains("set backend web/127.0.0.1:9 to drain"));
    }

    [Fact]
    public async Task Bad_change_is_told_with_every_fault_and_changes_nothing()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (await admin.SendAsync("PATCH", Backend, """{"state":"off","weight":0,"colour":1}"""))
            .HasFaults("state must be one of ready, drain, maintenance", "weight must be a whole number from 1 to 256",
                "colour is not known; known are state, weight");
        (await admin.SendAsync("PATCH", "/upstreams/web/backends/10.0.0.1%3A1", "{}"))
            .IsError(404, "upstream 'web' has no backend '10.0.0.1:1'; its backends are 127.0.0.1:9");
        (await admin.SendAsync("PATCH", "/upstreams/no/backends/a", "{}")).IsError(404, "there is no upstream 'no'");
        (await admin.SendAsync("PATCH", Backend, "[]")).IsError(400, "the body must be a JSON object");
        (await admin.SendAsync("POST", "/explain", """{"path":"/\ud800"}"""))
            .IsError(400, "the body is not valid JSON: a text in it is not valid Unicode");
    }

    [Fact]
    public async Task Member_that_is_given_twice_is_a_fault_and_changes_nothing()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (await admin.SendAsync("PATCH", Backend, """{"weight":7,"state":"drain","weight":8,"colour":1,"colour":1}"""))
            .HasFaults("weight is given twice", "colour is not known; known are state, weight",
                "colour is given twice");
        (await admin.SendAsync("POST", "/explain",
                """{"path":"/a","headers":{"X-A":"1","X-B":["2","3"],"X-A":"4"},"path":"/a"}"""))
            .HasFaults("headers.X-A is given twice; write several texts as a list", "path is given twice");
        JsonElement seen = (await admin.SendAsync("GET", "/upstreams"))["items"][0].GetProperty("backends")[0];
        Assert.Equal(("ready", 1), (seen.GetProperty("state").GetString(), seen.GetProperty("weight").GetInt32()));
    }

    [Fact]
    public async Task Explain_tells_client_limit_route_candidates_and_pick()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("127.0.0.1", capacity: 10, tokens: 3);
        Answer said = await admin.SendAsync("POST", "/explain",
            """{"method":"GET","host":"a","path":"/x?y","headers":{"X-A":"1"},"client_address":"127.0.0.1"}""");
        Assert.Equal("ok", said["verdict"].GetString());
        Assert.Equal("127.0.0.1", said["client"].GetString());
        Assert.Equal("address", said["identified_by"].GetString());
        Assert.InRange(said["tokens"].GetDouble(), 3, 3.1);
        Assert.Equal("web", said["upstream"].GetString());
        Assert.Equal("127.0.0.1:9", said["pick"].GetString());
        Assert.Equal("unknown", said["candidates"][0].GetProperty("health").GetString());

        await admin.SendAsync("PATCH", Backend, """{"state":"maintenance"}""");
        Assert.Equal("no_backend", (await admin.SendAsync("POST", "/explain", "{}"))["verdict"].GetString());
        Answer bad = await admin.SendAsync("POST", "/explain", """{"path":"no path"}""");
        Assert.Equal("bad_request", bad["verdict"].GetString());
        (await admin.SendAsync("POST", "/explain", """{"path":1,"headers":[],"client_address":"x","q":2}"""))
            .HasFaults("path must be a text", "headers must be an object of texts",
                "client_address must be an IP address",
                "q is not known; known are method, host, path, headers, client_address");
    }

    [Fact]
    public async Task Reload_reads_the_file_again_and_a_bad_one_changes_nothing()
    {
        string folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
        try
        {
            string file = Path.Combine(folder, "penstock.yaml");
            (int port, int adminPort) = (FreePort(), FreePort());
            string Text(string rest) => $"""
                listen: 127.0.0.1:{port}
                admin: 127.0.0.1:{adminPort}
                store: memory
                access_log: off
                loops: 1
                {rest}
                """.Replace("admin: 127", "admin: { listen: 127").Replace($":{adminPort}\n", $":{adminPort} }}\n");
            await File.WriteAllTextAsync(file, Text("backends: [127.0.0.1:9]"));
            ConfigResult Read() => ConfigLoader.Load(file, _ => null);
            var log = new RecordedLog();
            await using PenstockHost host = await PenstockHost.StartAsync(
                Read().Config!, log.Factory, TimeProvider.System, Read);
            using var http = new HttpClient { BaseAddress = host.AdminUrl };

            await File.WriteAllTextAsync(file, Text("backends: [127.0.0.1:9, 127.0.0.1:10]\nbalance: random\nloops: 2")
                .Replace("loops: 1\n", ""));
            using HttpResponseMessage done = await http.PostAsync("/reload", null);
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
            Assert.Contains("\"restart_needed\":[\"loops\"]", await done.Content.ReadAsStringAsync());
            Assert.Equal(2, host.Proxy.Upstreams()[0].Backends.Count);

            await File.WriteAllTextAsync(file, Text("backends: [nowhere]\nbalanc: x"));
            using HttpResponseMessage rejected = await http.PostAsync("/reload", null);
            Assert.Equal(HttpStatusCode.BadRequest, rejected.StatusCode);
            string body = await rejected.Content.ReadAsStringAsync();
            Assert.Contains($"{file}:6:12", body);
            Assert.Contains($"{file}:7:1", body);
            Assert.Equal(2, host.Proxy.Upstreams()[0].Backends.Count);
            Assert.Contains(log.Lines, l => l.Contains("configuration not reloaded, the previous one stays in force"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Reload_without_a_file_says_so()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (await admin.SendAsync("POST", "/reload")).IsError(409, "the configuration came from the command line");
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
