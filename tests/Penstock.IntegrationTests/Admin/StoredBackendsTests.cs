using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Backends that the API adds with <c>stored</c>.</summary>
public sealed class StoredBackendsTests : IDisposable
{
    private const string Path = "/upstreams/web/backends";

    private readonly StoreFile _file = new();

    public void Dispose() => _file.Dispose();

    [Fact]
    public async Task Stored_backend_survives_a_restart_and_a_kill_and_ends_when_it_is_removed()
    {
        await using (AdminFixture first = await AdminFixture.StartAsync(_file.Setting))
        {
            Answer added = await first.SendAsync("POST", Path,
                """{"url":"127.0.0.1:10","weight":3,"max_connections":9,"backup":true,"stored":true}""");
            Assert.Equal((201, true), (added.Status, added["stored"].GetBoolean()));
            Assert.Equal(201, (await first.SendAsync("POST", Path, """{"url":"127.0.0.1:11"}""")).Status);
            Assert.Equal(201,
                (await first.SendAsync("POST", Path, """{"url":"unix:/run/x.sock","stored":true}""")).Status);
            using StoreFile left = _file.CopyAsKilled();
            await using AdminFixture other = await AdminFixture.StartAsync(left.Setting);
            Assert.Equal(["127.0.0.1:10", "127.0.0.1:9", "unix:/run/x.sock"], await AddressesAsync(other));
        }

        await using (AdminFixture second = await AdminFixture.StartAsync(_file.Setting))
        {
            Answer kept = await second.SendAsync("GET", $"{Path}/127.0.0.1:10");
            Assert.Equal((3, 9, true, true, true, 1.0), (kept["weight"].GetInt32(),
                kept["max_connections"].GetInt32(), kept["backup"].GetBoolean(), kept["added"].GetBoolean(),
                kept["stored"].GetBoolean(), kept["slow_start"].GetDouble()));
            Assert.Equal(["127.0.0.1:10", "127.0.0.1:9", "unix:/run/x.sock"], await AddressesAsync(second));
            Assert.Equal(204, (await second.SendAsync("DELETE", $"{Path}/127.0.0.1:10")).Status);
        }

        await using AdminFixture third = await AdminFixture.StartAsync(_file.Setting);
        Assert.Equal(["127.0.0.1:9", "unix:/run/x.sock"], await AddressesAsync(third));
    }

    [Fact]
    public async Task Failing_store_rejects_the_edit_and_nothing_changes()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync(_file.Setting);
        await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":true}""");
        _file.Execute("ALTER TABLE backends RENAME TO away");

        (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:11","stored":true}"""))
            .IsError(503, "nothing was changed");
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:10")).IsError(503, "no such table");
        Assert.Equal(["127.0.0.1:10", "127.0.0.1:9"], await AddressesAsync(admin));
        Assert.Equal(201, (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:12"}""")).Status);
        Assert.Equal(204, (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:12")).Status);

        _file.Execute("ALTER TABLE away RENAME TO backends");
        Assert.Equal(204, (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:10")).Status);
        Assert.Equal(0L, _file.Scalar<long>("SELECT count(*) FROM backends"));
    }

    [Fact]
    public async Task Store_in_memory_keeps_nothing_and_says_so()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":true}""")).HasFaults(
            "stored must be false: the store is memory, which keeps nothing over a restart; set the key store");
        (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":1}""")).HasFaults(
            "stored '1' is not true or false");
        Assert.Equal(201, (await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":false}""")).Status);
    }

    [Fact]
    public async Task Entry_of_the_file_is_used_instead_as_long_as_it_is_there()
    {
        bool inFile = false;
        await using AdminFixture admin = await AdminFixture.StartAsync(_file.Setting, reload: config =>
            With(config, "web", inFile ? [TestProxy.Backend(9), TestProxy.Backend(10) with { Weight = 5 }]
                : [TestProxy.Backend(9)]));
        await admin.SendAsync("POST", Path, """{"url":"127.0.0.1:10","weight":3,"stored":true}""");

        inFile = true;
        await admin.SendAsync("POST", "/reload");
        Assert.Equal(5, (await admin.SendAsync("GET", $"{Path}/127.0.0.1:10"))["weight"].GetInt32());
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:10")).IsError(409, "configuration file");
        Assert.Contains("backend web/127.0.0.1:10 of the store is not used: the upstream has the address already",
            admin.Log.Lines);

        inFile = false;
        await admin.SendAsync("POST", "/reload");
        Answer back = await admin.SendAsync("GET", $"{Path}/127.0.0.1:10");
        Assert.Equal((3, true), (back["weight"].GetInt32(), back["stored"].GetBoolean()));
    }

    [Fact]
    public async Task Backend_waits_in_the_store_for_its_upstream_and_can_be_removed_meanwhile()
    {
        await using (AdminFixture first = await AdminFixture.StartAsync(_file.Setting))
        {
            await first.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":true}""");
            await first.SendAsync("POST", Path, """{"url":"127.0.0.1:11","stored":true}""");
        }
        string name = "other";
        await using AdminFixture admin = await AdminFixture.StartAsync(_file.Setting,
            change: static config => With(config, "other", TestProxy.Backend(9)),
            reload: config => With(config, name, TestProxy.Backend(9)));

        Assert.Equal(["127.0.0.1:9"], await AddressesAsync(admin));
        Assert.Contains("backend web/127.0.0.1:10 of the store is not used: the configuration has no upstream web",
            admin.Log.Lines);
        Assert.Equal(204, (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:11")).Status);
        (await admin.SendAsync("DELETE", $"{Path}/127.0.0.1:11")).IsError(404, "there is no upstream 'web'");

        name = "web";
        Assert.Equal(200, (await admin.SendAsync("POST", "/reload")).Status);
        Assert.Equal(["127.0.0.1:10", "127.0.0.1:9"], await AddressesAsync(admin));
    }

    [Fact]
    public async Task Row_that_cannot_be_read_is_left_out_with_a_word()
    {
        await using (AdminFixture first = await AdminFixture.StartAsync(_file.Setting))
        {
            await first.SendAsync("POST", Path, """{"url":"127.0.0.1:10","stored":true}""");
        }
        _file.Execute("""
            INSERT INTO backends VALUES
                ('web', 'a:1', '{"url":"a:1","stored":true,"colour":1}'), ('web', 'b:1', '{"url":"b:2","stored":true}')
            """);

        await using AdminFixture admin = await AdminFixture.StartAsync(_file.Setting);

        Assert.Equal(["127.0.0.1:10", "127.0.0.1:9"], await AddressesAsync(admin));
        Assert.Contains(admin.Log.Lines, static line => line.StartsWith(
            "backend web/a:1 of the store is not used: unknown key 'colour'", StringComparison.Ordinal));
        Assert.Contains("backend web/b:1 of the store is not used: its settings are of another backend, or not stored",
            admin.Log.Lines);
    }

    private static async Task<List<string?>> AddressesAsync(AdminFixture admin) =>
    [
        .. (await admin.SendAsync("GET", "/upstreams"))["items"][0].GetProperty("backends").EnumerateArray()
            .Select(static backend => backend.GetProperty("address").GetString()).Order(StringComparer.Ordinal),
    ];

    private static PenstockConfig With(PenstockConfig config, string upstream, params BackendConfig[] backends) =>
        config with
        {
            Proxy = config.Proxy with
            {
                Upstreams = [config.Proxy.Upstreams[0] with { Name = upstream, Backends = backends }],
                Routes = [new() { Upstream = upstream }],
            },
        };
}
