using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary><c>drain</c>, <c>maintenance</c>, <c>ready</c> and <c>weight</c>.</summary>
public sealed class BackendCommandTests : IAsyncLifetime
{
    private static readonly BackendStatus One = FakeAdminApi.Backend("10.0.0.1:80");

    private FakeAdminApi _api = null!;

    public async ValueTask InitializeAsync() => _api = await FakeAdminApi.StartAsync();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Theory]
    [InlineData("drain", "drain")]
    [InlineData("maintenance", "maintenance")]
    [InlineData("ready", "ready")]
    public async Task Command_sets_the_state_of_its_name(string command, string state)
    {
        _api.Shows(FakeAdminApi.Upstream("web", One)).Answers("PATCH /upstreams/web/backends/10.0.0.1%3A80",
            Text(One with { State = BackendState.Drain, InFlight = 3 }));

        CommandRun run = await _api.RunAsync(command, "web/10.0.0.1:80");

        Assert.Equal(new CommandRun(0, "web/10.0.0.1:80: drain, health up, weight 1, 3 in flight\n", ""), run);
        Assert.Equal($$"""PATCH /upstreams/web/backends/10.0.0.1%3A80 {"state":"{{state}}"}""", _api.Requests[^1]);
    }

    [Theory]
    [InlineData("web/10.0.0.1:80", "/upstreams/web/backends/10.0.0.1%3A80")]
    [InlineData("10.0.0.1:80", "/upstreams/web/backends/10.0.0.1%3A80")]
    [InlineData("unix:/run/a.sock", "/upstreams/web/backends/unix%3A%2Frun%2Fa.sock")]
    [InlineData("web/unix:/run/a.sock", "/upstreams/web/backends/unix%3A%2Frun%2Fa.sock")]
    [InlineData("one.example:80", "/upstreams/api/backends/10.0.0.7%3A80")]
    [InlineData("api/ONE.example:80", "/upstreams/api/backends/10.0.0.7%3A80")]
    [InlineData("api/10.0.0.2:80", "/upstreams/api/backends/10.0.0.2%3A80")]
    public async Task Backend_is_found_by_each_of_its_names(string name, string path)
    {
        Several().Answers("PATCH " + path, Text(One));

        CommandRun run = await _api.RunAsync("drain", name);

        Assert.Equal(("", 0), (run.Error, run.Code));
        Assert.StartsWith($"PATCH {path} ", _api.Requests[^1]);
    }

    [Theory]
    [InlineData("10.0.0.2:80", "write web/10.0.0.2:80 or api/10.0.0.2:80")]
    [InlineData("two.example:80", "write api/10.0.0.8:80 or api/10.0.0.9:80")]
    [InlineData("web/10.0.0.1:81", "did you mean 'web/10.0.0.1:80'?")]
    [InlineData("api/10.0.0.1:80", "there is no backend 'api/10.0.0.1:80'")]
    [InlineData("elsewhere", "the backends are: web/10.0.0.1:80, web/10.0.0.2:80, ")]
    public async Task Name_of_no_backend_or_of_several_changes_nothing_and_says_what_to_write(string name, string said)
    {
        Several();

        CommandRun run = await _api.RunAsync("drain", name);

        Assert.Equal((1, ""), (run.Code, run.Out));
        Assert.Contains(said, run.Error);
        Assert.Equal(["GET /upstreams"], _api.Requests);
    }

    [Fact]
    public async Task Drain_can_wait_until_the_backend_is_drained()
    {
        BackendStatus busy = One with { State = BackendState.Drain, InFlight = 2 };
        _api.Shows(FakeAdminApi.Upstream("web", One)).Shows(FakeAdminApi.Upstream("web", busy))
            .Shows(FakeAdminApi.Upstream("web", busy with { InFlight = 0, Drained = true }))
            .Answers("PATCH /upstreams/web/backends/10.0.0.1%3A80", Text(busy));

        CommandRun run = await _api.RunAsync("drain", "10.0.0.1:80", "--wait");

        Assert.Equal(new CommandRun(0, "web/10.0.0.1:80: drain, drained, health up, weight 1, 0 in flight\n", ""), run);
        Assert.Equal(4, _api.Requests.Count);
    }

    [Theory]
    [InlineData(2, "2 requests are in flight")]
    [InlineData(0, "its sticky sessions may still use it; 'penstock maintenance' moves them to other backends")]
    public async Task Drain_that_takes_longer_than_the_time_to_wait_exits_1(int inFlight, string cause)
    {
        BackendStatus busy = One with { State = BackendState.Drain, InFlight = inFlight };
        _api.Shows(FakeAdminApi.Upstream("web", busy)).Answers("PATCH /upstreams/web/backends/10.0.0.1%3A80",
            Text(busy));

        CommandRun run = await _api.RunAsync("drain", "10.0.0.1:80", "--wait", "1ms", "--json");

        Assert.Equal(1, run.Code);
        Assert.Equal("drain", (string?)JsonNode.Parse(run.Out)!["state"]);
        Assert.Equal($"error: web/10.0.0.1:80 is not drained yet: {cause}\n", run.Error);
    }

    [Theory]
    [InlineData("5", "5")]
    [InlineData("256", "256")]
    [InlineData("default", "null")]
    public async Task Weight_is_a_number_or_the_default(string given, string sent)
    {
        _api.Shows(FakeAdminApi.Upstream("web", One)).Answers("PATCH /upstreams/web/backends/10.0.0.1%3A80", Text(One));

        CommandRun run = await _api.RunAsync("weight", "10.0.0.1:80", given);

        Assert.Equal(("", 0), (run.Error, run.Code));
        Assert.EndsWith($$""" {"weight":{{sent}}}""", _api.Requests[^1]);
    }

    [Theory]
    [InlineData("weight", "10.0.0.1:80", "0")]
    [InlineData("weight", "10.0.0.1:80", "257")]
    [InlineData("weight", "10.0.0.1:80", "many")]
    [InlineData("weight", "10.0.0.1:80")]
    [InlineData("drain", "")]
    [InlineData("drain", "10.0.0.1:80", "--wait", "30")]
    [InlineData("ready", "10.0.0.1:80", "--wait")]
    public async Task Command_with_a_mistake_is_wrong_usage_and_asks_nothing(params string[] words)
    {
        CommandRun run = await _api.RunAsync(words);

        Assert.Equal((2, ""), (run.Code, run.Out));
        Assert.Empty(_api.Requests);
    }

    private FakeAdminApi Several() => _api.Shows(
        FakeAdminApi.Upstream("web", One, One with { Address = "10.0.0.2:80" },
            One with { Address = "unix:/run/a.sock" }),
        FakeAdminApi.Upstream("api", One with { Address = "10.0.0.2:80" },
            One with { Address = "10.0.0.7:80", Name = "one.example:80" },
            One with { Address = "10.0.0.8:80", Name = "two.example:80" },
            One with { Address = "10.0.0.9:80", Name = "two.example:80" }));

    private static string Text(BackendStatus backend) =>
        JsonSerializer.Serialize(backend, AdminJson.Types.BackendStatus);
}
