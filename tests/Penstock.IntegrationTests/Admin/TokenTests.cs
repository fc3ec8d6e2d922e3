using System.Net;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Tokens with roles: what they allow, what the log says about their owners, and how a reload changes them.
/// </summary>
public sealed class TokenTests
{
    private const string Limit = """{"capacity":2,"rate_per_sec":1}""";

    private readonly string _ops = AdminToken.Create();
    private readonly string _grafana = AdminToken.Create();

    private ValueList<AdminTokenConfig> Tokens =>
    [
        new("ops", AdminRole.Admin, AdminToken.HashOf(_ops)),
        new("grafana", AdminRole.Read, AdminToken.HashOf(_grafana)),
    ];

    [Fact]
    public async Task Role_read_allows_what_changes_nothing_and_names_the_role_that_is_needed()
    {
        await using AdminFixture admin = await StartAsync();

        Assert.Equal(200, (await SendAsync(admin, _grafana, "GET", "/clients")).Status);
        Assert.Equal(200, (await SendAsync(admin, _grafana, "HEAD", "/upstreams")).Status);
        Assert.Equal(200, (await SendAsync(admin, _grafana, "POST", "/explain", "{}")).Status);
        (await SendAsync(admin, _grafana, "PUT", "/clients/a", Limit)).IsError(403,
            "this request needs a token with the role 'admin'; the token 'grafana' has the role 'read'");
        Assert.Equal(404, (await SendAsync(admin, _grafana, "GET", "/clients/a")).Status);
        Assert.Equal(201, (await SendAsync(admin, _ops, "PUT", "/clients/a", Limit)).Status);
        (await SendAsync(admin, _ops[..^1], "PUT", "/clients/a", Limit)).IsError(401);
    }

    [Fact]
    public async Task Change_leaves_one_line_with_its_owner_what_it_changed_and_no_secret()
    {
        await using AdminFixture admin = await StartAsync();
        int before = admin.Log.Count("admin_change");

        await SendAsync(admin, _ops, "PUT", $"/clients/a?token={_ops}", Limit);
        await SendAsync(admin, _ops, "PATCH", "/clients/a", """{"rate_per_sec":3}""");
        await SendAsync(admin, _ops, "PUT", "/plans/gold", Limit);
        await SendAsync(admin, _ops, "PATCH", "/upstreams/web/backends/127.0.0.1:9",
            """{"state":"drain","weight":7}""");
        await SendAsync(admin, _grafana, "DELETE", "/clients/a");
        await SendAsync(admin, _ops, "DELETE", "/clients/b");
        await SendAsync(admin, _ops, "POST", "/reload");
        await SendAsync(admin, _ops, "POST", "/explain", "{}");
        await SendAsync(admin, _ops, "GET", "/clients");

        const string Ops = "ops from 127.0.0.1: ";
        Assert.Equal(
            [
                Ops + "PUT /clients/a was answered 201; client a: none -> capacity 2, 1/s, 2 tokens",
                Ops + "PATCH /clients/a was answered 200; client a: capacity 2, 1/s, 2 tokens -> "
                    + "capacity 2, 3/s, 2 tokens",
                Ops + "PUT /plans/gold was answered 201; plan gold: none -> capacity 2, 1/s, 0 clients",
                Ops + "PATCH /upstreams/web/backends/127.0.0.1:9 was answered 200; "
                    + "state ready, weight 1 -> state drain, weight 7",
                "grafana from 127.0.0.1: DELETE /clients/a was answered 403",
                Ops + "DELETE /clients/b was answered 404",
                Ops + "POST /reload was answered 409; the configuration came from the command line, so there is no "
                    + "file to read again",
            ],
            admin.Log.Lines.Where(static line => line.Contains("from 127.0.0.1: ", StringComparison.Ordinal)));
        Assert.Equal(before + 7, admin.Log.Count("admin_change"));
        Assert.DoesNotContain(admin.Log.Lines, line => line.Contains("pst_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_changes_the_tokens()
    {
        PenstockConfig started = AdminFixture.Config() with { Admin = Admin(_ops) };
        PenstockConfig next = started;
        var log = new RecordedLog();
        await using PenstockHost host = await PenstockHost.StartAsync(started, log.Factory, TimeProvider.System,
            () => new ConfigResult(next, []));
        using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{host.AdminUrl!.Port}") };
        async Task<HttpStatusCode> GetAsync(string token)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/clients");
            request.Headers.Authorization = new("Bearer", token);
            using HttpResponseMessage answer = await http.SendAsync(request);
            return answer.StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await GetAsync(_ops));
        next = started with { Admin = Admin(_grafana) };
        Assert.Empty(host.Reloader.Reload().RestartNeeded);
        Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync(_ops));
        Assert.Equal(HttpStatusCode.OK, await GetAsync(_grafana));

        next = started with { Admin = new() { Listen = new IPEndPoint(IPAddress.Loopback, 1) } };
        Assert.Equal(["admin.listen", "admin.tokens"], host.Reloader.Reload().RestartNeeded);
        Assert.Equal(HttpStatusCode.OK, await GetAsync(_grafana));

        static AdminConfig Admin(string token) => new()
        {
            Listen = new IPEndPoint(IPAddress.Any, 0), Tokens = [new("a", AdminRole.Admin, AdminToken.HashOf(token))],
        };
    }

    private Task<AdminFixture> StartAsync() => AdminFixture.StartAsync(
        change: config => config with { Admin = config.Admin with { Tokens = Tokens } });

    private static Task<Answer> SendAsync(
        AdminFixture admin, string token, string method, string path, string? body = null) =>
        admin.SendAsync(method, path, body, headers: [("Authorization", $"Bearer {token}")]);
}
