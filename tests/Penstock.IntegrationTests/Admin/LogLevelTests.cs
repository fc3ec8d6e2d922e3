using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary><c>/log/level</c>, and the level of the configuration.</summary>
public sealed class LogLevelTests
{
    [Fact]
    public async Task Level_that_is_set_holds_until_the_next_reload()
    {
        var threshold = new EventThreshold(MinLevel.Info);
        PenstockConfig config = AdminFixture.Config() with { Log = new() { Level = MinLevel.Warning } };
        await using PenstockHost host = await PenstockHost.StartAsync(
            config, NullLoggerFactory.Instance, TimeProvider.System, () => new(config, []), threshold);
        using var http = new HttpClient { BaseAddress = host.AdminUrl };

        Assert.Equal("""{"level":"warning","configured":"warning"}""", await GetAsync());
        Assert.Equal("""{"level":"debug","configured":"warning"}""", await PutAsync("""{"level":"debug"}"""));
        Assert.True(threshold.Writes("penstock", LogLevel.Debug));
        Assert.Null(host.Reloader.Reload().Error);
        Assert.Equal("""{"level":"warning","configured":"warning"}""", await GetAsync());
        Assert.False(threshold.Writes("penstock", LogLevel.Information));

        async Task<string> GetAsync() => (await http.GetStringAsync("/log/level")).TrimEnd();

        async Task<string> PutAsync(string body)
        {
            using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
            using HttpResponseMessage answer = await http.PutAsync(new Uri("/log/level", UriKind.Relative), content);
            return (await answer.Content.ReadAsStringAsync()).TrimEnd();
        }
    }

    [Fact]
    public async Task Body_without_a_known_level_changes_nothing()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("PUT", "/log/level", """{"level":"loud"}"""))
            .HasFaults("level must be one of debug, info, warning, error");
        (await admin.SendAsync("PUT", "/log/level", "{}")).HasFaults("level is missing");
        (await admin.SendAsync("PUT", "/log/level", """{"level":"info","x":1}"""))
            .HasFaults("x is not known; known are level");
        Assert.Equal("""{"level":"info","configured":"info"}""", (await admin.SendAsync("GET", "/log/level")).Body);
        (await admin.SendAsync("POST", "/log/level", "{}")).IsError(405);
    }

    [Fact]
    public async Task Change_is_an_event()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        Assert.Equal(200, (await admin.SendAsync("PUT", "/log/level", """{"level":"error"}""")).Status);
        await Eventually.TrueAsync(() => admin.Log.Count("log_level_set") == 1, "the event is there");
    }
}
