using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Penstock.Commands;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>The admin API on a Unix socket.</summary>
public sealed partial class SocketTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly RecordedLog _log = new();

    private string Path => System.IO.Path.Combine(_folder, "admin.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Socket_has_its_mode_and_its_callers_need_no_token()
    {
        await using PenstockHost host = await StartAsync(new());
        using var admin = new AdminClient(new($"unix:{Path}"), token: "", timeoutSeconds: 60);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite,
            File.GetUnixFileMode(Path));
        AdminAnswer put = await admin.SendAsync(HttpMethod.Put, "/clients/a%2Fb",
            new() { ["capacity"] = 5, ["rate_per_sec"] = 1 });
        Assert.Equal((201, null), (put.Status, put.Fault));
        Assert.Contains(_log.Lines, static line => UserLine().IsMatch(line));
    }

    [Fact]
    public async Task Callers_of_the_socket_need_a_token_if_there_are_tokens()
    {
        string token = AdminToken.Create();
        await using PenstockHost host = await StartAsync(new()
        {
            Tokens = [new("ops", AdminRole.Read, AdminToken.HashOf(token))],
        });
        using var nobody = new AdminClient(new($"unix:{Path}"), token: "", timeoutSeconds: 60);
        using var ops = new AdminClient(new($"unix:{Path}"), token, timeoutSeconds: 60);

        Assert.Contains($"the admin API at unix:{Path} needs a token",
            (await nobody.SendAsync(HttpMethod.Get, "/clients")).Fault);
        Assert.Equal(200, (await ops.SendAsync(HttpMethod.Get, "/clients")).Status);
        Assert.Equal(403, (await ops.SendAsync(HttpMethod.Delete, "/clients/a")).Status);
    }

    [Fact]
    public async Task Commands_speak_to_the_socket()
    {
        await using PenstockHost host = await StartAsync(new());
        (StringWriter output, StringWriter error) = (new StringWriter(), new StringWriter());
        var terminal = new Terminal(output, error)
        {
            Environment = name => name == "PENSTOCK_ADMIN" ? $"unix:{Path}" : null,
        };

        Assert.Equal(0, await RootCommandLine.RunAsync(
            ["clients", "set", "a", "--capacity", "9", "--rate", "1/s", "--format", "json"], terminal));
        Assert.Equal(9, JsonElement.Parse(output.ToString()).GetProperty("capacity").GetInt32());
        Assert.Equal("", error.ToString());
    }

    private Task<PenstockHost> StartAsync(AdminConfig admin) => PenstockHost.StartAsync(
        AdminFixture.Config() with
        {
            Admin = admin with
            {
                Listen = new UnixDomainSocketEndPoint(Path),
                Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
                    | UnixFileMode.GroupWrite,
            },
        }, _log.Factory, TimeProvider.System);

    [GeneratedRegex("^uid [0-9]+ from unix socket: PUT /clients/a%2Fb was answered 201; client a/b: none -> ",
        RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UserLine();
}
