using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

public sealed class RestartTests : IDisposable
{
    private readonly StoreFile _file = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _file.Dispose();

    [Fact]
    public async Task Restart_keeps_clients_and_refills_by_the_time_between()
    {
        await using (AdminFixture first = await StartAsync())
        {
            await first.SendAsync("POST", "/clients",
                """{"client_id":"a","capacity":100,"rate_per_sec":2,"current_tokens":10}""");
            await first.SendAsync("POST", "/clients", """{"client_id":"gone","capacity":1,"rate_per_sec":1}""");
            await first.SendAsync("DELETE", "/clients/gone");
        }

        _time.Advance(TimeSpan.FromSeconds(15));
        await using (AdminFixture second = await StartAsync())
        {
            Answer a = await second.SendAsync("GET", "/clients/a");
            Assert.Equal((100, 2), (a["capacity"].GetInt32(), a["rate_per_sec"].GetInt32()));
            Assert.Equal(40, a["current_tokens"].GetDouble(), 2);
            (await second.SendAsync("GET", "/clients/gone")).IsError(404);
        }

        _time.Advance(TimeSpan.FromHours(1));
        await using AdminFixture third = await StartAsync();
        Assert.Equal(100, (await third.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble());
    }

    [Fact]
    public async Task Restart_after_the_clock_was_set_back_takes_no_tokens()
    {
        await using (AdminFixture first = await StartAsync())
        {
            await first.CreateAsync("a", 100, 10);
        }

        _time.Advance(TimeSpan.FromDays(-1));

        await using AdminFixture second = await StartAsync();
        Assert.Equal(10, (await second.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble(), 2);
    }

    [Fact]
    public async Task Kill_loses_no_edit()
    {
        await using AdminFixture first = await StartAsync();
        await first.CreateAsync("a", 100, 10);
        await first.CreateAsync("b");
        await first.SendAsync("PATCH", "/clients/a", """{"capacity":20}""");
        await first.SendAsync("DELETE", "/clients/b");

        using StoreFile left = _file.CopyAsKilled();
        await using AdminFixture second = await AdminFixture.StartAsync(left.Setting, time: _time);

        Answer a = await second.SendAsync("GET", "/clients/a");
        Assert.Equal(20, a["capacity"].GetInt32());
        Assert.Equal(10, a["current_tokens"].GetDouble(), 2);
        (await second.SendAsync("GET", "/clients/b")).IsError(404);
    }

    [Fact]
    public async Task Reset_survives_a_kill()
    {
        await using AdminFixture first = await StartAsync();
        await first.CreateAsync("a", 100, 10);
        await first.SendAsync("POST", "/clients/a/reset");

        using StoreFile left = _file.CopyAsKilled();
        await using AdminFixture second = await AdminFixture.StartAsync(left.Setting, time: _time);

        Assert.Equal(100, (await second.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble());
    }

    [Fact]
    public async Task Failing_store_rejects_edits_and_nothing_changes_until_it_works_again()
    {
        await using AdminFixture admin = await StartAsync();
        await admin.CreateAsync("a", 100, 10);
        string before = (await admin.SendAsync("GET", "/clients/a")).Body;
        _file.Break();

        const string Limit = """{"capacity":5,"rate_per_sec":5}""";
        (await admin.SendAsync("POST", "/clients", """{"client_id":"b","capacity":1,"rate_per_sec":1}"""))
            .IsError(503, "no such table");
        (await admin.SendAsync("PUT", "/clients/a", Limit)).IsError(503, "nothing was changed");
        (await admin.SendAsync("PATCH", "/clients/a", """{"capacity":5}""")).IsError(503);
        (await admin.SendAsync("DELETE", "/clients/a")).IsError(503);
        (await admin.SendAsync("POST", "/clients/a/reset")).IsError(503);
        (await admin.SendAsync("GET", "/clients")).IsError(503);

        Assert.Equal(before, (await admin.SendAsync("GET", "/clients/a")).Body);
        (await admin.SendAsync("GET", "/clients/b")).IsError(404);
        Answer degraded = await admin.SendAsync("GET", "/readyz");
        Assert.Equal((200, "degraded"), (degraded.Status, degraded["status"].GetString()));
        Assert.Contains("no such table",
            degraded["checks"].GetProperty("store").GetProperty("detail").GetString());
        Assert.Equal(1, admin.Log.Count("store_failing"));

        _file.Repair();
        Assert.Equal(200, (await admin.SendAsync("PUT", "/clients/a", Limit)).Status);
        Assert.Equal("ready", (await admin.SendAsync("GET", "/readyz"))["status"].GetString());
        Assert.Equal(5L, _file.Scalar<long>("SELECT capacity FROM clients WHERE client_id = 'a'"));
    }

    [Fact]
    public async Task Failing_store_is_noticed_to_work_again_by_the_clock()
    {
        await using AdminFixture admin = await StartAsync();
        await admin.CreateAsync("a");
        _file.Break();
        await admin.SendAsync("DELETE", "/clients/a");
        _file.Repair();

        _time.Advance(TimeSpan.FromSeconds(1));

        await admin.Log.WaitForAsync("store_recovered");
    }

    [Fact]
    public async Task Client_in_the_store_that_the_limiter_rejects_is_ignored_with_a_word()
    {
        await using (AdminFixture first = await StartAsync())
        {
            await first.CreateAsync("a");
        }

        _file.Execute("UPDATE clients SET rate_per_sec = 1e12");

        await using AdminFixture second = await StartAsync();

        Assert.Equal(1, second.Log.Count("client_ignored"));
        (await second.SendAsync("GET", "/clients/a")).IsError(404);
        Assert.Equal(200, (await second.SendAsync("GET", "/clients")).Status);
        Assert.Equal(204, (await second.SendAsync("DELETE", "/clients/a")).Status);
    }

    [Fact]
    public async Task Start_with_an_unusable_store_fails_with_the_file_and_the_cause()
    {
        File.WriteAllText(_file.Path, "this is not a database, it is a text that is long enough");

        StartException e = await Assert.ThrowsAsync<StartException>(StartAsync);

        Assert.Contains(_file.Path, e.Message);
    }

    [Fact]
    public async Task Start_on_a_taken_admin_address_fails_with_the_address_and_frees_the_store()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        PenstockConfig config =
            AdminFixture.Config(_file.Setting) with { Admin = new() { Listen = taken.LocalEndPoint } };

        StartException e = await Assert.ThrowsAsync<StartException>(
            () => PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time));

        Assert.Contains(taken.LocalEndPoint!.ToString()!, e.Message);
        Assert.Contains("another program listens there", e.Message);
        Assert.False(File.Exists(_file.Path + "-wal"));
    }

    [Fact]
    public async Task Start_of_an_open_admin_listener_without_a_token_is_rejected()
    {
        var open = new IPEndPoint(IPAddress.Any, 0);
        PenstockConfig config = AdminFixture.Config() with { Admin = new() { Listen = open } };

        StartException e = await Assert.ThrowsAsync<StartException>(
            () => PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time));
        Assert.Contains("admin.token", e.Message);

        config = config with { Admin = new() { Listen = open, Token = "t" } };
        await using PenstockHost host = await PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time);
        Assert.NotEqual(0, host.AdminUrl!.Port);
    }

    [Fact]
    public async Task Start_without_an_admin_listener_has_no_admin_url()
    {
        PenstockConfig config = AdminFixture.Config() with { Admin = new() { Listen = null } };

        await using PenstockHost host = await PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time);

        Assert.Null(host.AdminUrl);
    }

    [Fact]
    public async Task Start_on_the_socket_of_a_killed_process_replaces_it_but_not_one_in_use()
    {
        string path = _file.Path + ".sock";
        var address = new UnixDomainSocketEndPoint(path);
        StaleSocket.Leave(path);
        PenstockConfig config = AdminFixture.Config() with { Admin = new() { Listen = address } };

        await using PenstockHost host = await PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time);
        using var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(address, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        Assert.Equal("""{"items":[],"next_cursor":null}""" + "\n",
            await http.GetStringAsync("http://any.name/clients"));
        Assert.Equal("unix:" + path, host.AdminUrl!.OriginalString);

        await Assert.ThrowsAsync<StartException>(
            () => PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time));
        Assert.True(File.Exists(path));
        Assert.Equal("""{"items":[],"next_cursor":null}""" + "\n",
            await http.GetStringAsync("http://any.name/clients"));
    }

    [Fact]
    public async Task Start_on_a_socket_path_that_is_a_file_leaves_the_file_alone()
    {
        await File.WriteAllTextAsync(_file.Path, "precious");
        PenstockConfig config = AdminFixture.Config() with
        {
            Admin = new() { Listen = new UnixDomainSocketEndPoint(_file.Path) },
        };

        await Assert.ThrowsAsync<StartException>(
            () => PenstockHost.StartAsync(config, NullLoggerFactory.Instance, _time));

        Assert.Equal("precious", await File.ReadAllTextAsync(_file.Path));
    }

    [Fact]
    public async Task Stop_closes_everything_once_and_may_be_asked_again()
    {
        AdminFixture admin = await StartAsync();

        await Task.WhenAll(admin.Host.StopAsync(default), admin.Host.StopAsync(default));
        await admin.DisposeAsync();

        Assert.True(admin.Host.Proxy.Stopping);
        Assert.False(File.Exists(_file.Path + "-wal"));
    }

    private Task<AdminFixture> StartAsync() => AdminFixture.StartAsync(_file.Setting, time: _time);
}
