using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control.Dashboard;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Dashboard;

public sealed class MarksTests
{
    private readonly ManualTime _time = new();
    private readonly Marks _marks;

    public MarksTests() => _marks = new(_time);

    [Fact]
    public void Events_of_one_second_are_one_mark()
    {
        for (int i = 1; i <= 3; i++)
        {
            _marks.Add("admin_change", LogLevel.Information, $"edit {i}");
        }
        _marks.Add("backend_down", LogLevel.Warning, "down");
        _time.Advance(TimeSpan.FromSeconds(1));
        _marks.Add("backend_down", LogLevel.Warning, "down again");

        Assert.Equal([("edit 3", 3), ("down", 1), ("down again", 1)],
            All().Select(static mark => (mark.Text, mark.Times)));
        Assert.Equal([1, 2, 3], All().Select(static mark => mark.Id));
    }

    [Fact]
    public void Memory_is_bounded()
    {
        for (int i = 0; i < 2 * Marks.Kept; i++)
        {
            _marks.Add($"event_{i}", LogLevel.Information, new string('x', 10_000));
        }

        Assert.Equal(Marks.Kept, All().Count);
        Assert.Equal($"event_{(2 * Marks.Kept) - 1}", All()[^1].Event);
        Assert.All(All(), static mark => Assert.InRange(mark.Text.Length, 1, 500));
    }

    [Fact]
    public void Loggers_mark_events_that_the_log_does_not_write()
    {
        var loggers = new MarkingLoggers(NullLoggerFactory.Instance, _marks);
        ILogger log = loggers.CreateLogger<MarksTests>();
        int told = 0;
        _marks.Added = () => told++;

        log.LogInformation(Control.Telemetry.Events.Reloaded, "reloaded {Changes}", 3);
        log.LogInformation(Control.Telemetry.Events.ConfigChanged, "one change of many");
        log.LogDebug(Control.Telemetry.Events.StoreFailing, "too small");
        log.LogInformation("without an event");
        loggers.CreateLogger("Microsoft.Hosting").LogError(new EventId(1, "foreign"), "of a library");

        Mark mark = Assert.Single(All());
        Assert.Equal(("reloaded", "info", "reloaded 3"), (mark.Event, mark.Level, mark.Text));
        Assert.Equal(1, told);
    }

    private IReadOnlyList<Mark> All() => _marks.Since(DateTimeOffset.MinValue);
}
