using Microsoft.Extensions.Logging;
using Penstock.Control.Admin;
using Penstock.Control.Telemetry;
using Xunit;

namespace Penstock.UnitTests.Telemetry;

public sealed class EventThresholdTests
{
    [Theory]
    [InlineData(nameof(MinLevel.Debug), LogLevel.Debug, LogLevel.Information)]
    [InlineData(nameof(MinLevel.Info), LogLevel.Information, LogLevel.Warning)]
    [InlineData(nameof(MinLevel.Warning), LogLevel.Warning, LogLevel.Warning)]
    [InlineData(nameof(MinLevel.Error), LogLevel.Error, LogLevel.Error)]
    public void Level_is_the_lowest_that_is_written(string level, LogLevel lowest, LogLevel lowestOfLibraries)
    {
        var threshold = new EventThreshold(MinLevel.Info) { Level = Enum.Parse<MinLevel>(level) };

        Assert.All(Enum.GetValues<LogLevel>(), one =>
        {
            Assert.Equal(one >= lowest, threshold.Writes("penstock", one));
            Assert.Equal(one >= lowestOfLibraries, threshold.Writes("Microsoft.AspNetCore.Hosting", one));
        });
    }

    [Fact]
    public void Changes_by_the_admin_api_are_written_at_every_level_unless_a_person_reads_the_log()
    {
        string audit = typeof(AdminAudit).FullName!;

        Assert.True(new EventThreshold(MinLevel.Info) { Level = MinLevel.Error }.Writes(audit, LogLevel.Information));
        Assert.False(new EventThreshold(MinLevel.Warning).Writes(audit, LogLevel.Information));
    }

    [Fact]
    public void Configuration_replaces_the_level_that_was_set()
    {
        var threshold = new EventThreshold(MinLevel.Warning);
        threshold.Level = MinLevel.Debug;
        Assert.Equal((MinLevel.Debug, MinLevel.Warning), (threshold.Level, threshold.Configured));

        threshold.Configure(MinLevel.Error);
        Assert.Equal((MinLevel.Error, MinLevel.Error), (threshold.Level, threshold.Configured));
        threshold.Configure(null);
        Assert.Equal((MinLevel.Warning, MinLevel.Warning), (threshold.Level, threshold.Configured));
    }
}
