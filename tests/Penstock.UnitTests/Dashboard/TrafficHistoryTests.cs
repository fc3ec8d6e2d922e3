using Penstock.Control.Dashboard;
using Penstock.Proxy;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Dashboard;

public sealed class TrafficHistoryTests
{
    private readonly ManualTime _time = new();
    private readonly TrafficHistory _history = new();
    private readonly Marks _marks;
    private double _seconds;
    private long _requests;

    public TrafficHistoryTests() => _marks = new(_time);

    [Fact]
    public void Step_is_the_mean_of_its_readings()
    {
        Tick(1, 0);
        for (int second = 0; second < 10; second++)
        {
            Tick(1, second < 5 ? 10 : 30);
        }

        HistoryView view = _history.Read("15m", _marks)!;

        Assert.Equal([10, 30], view.All.RequestsPerSec);
        Assert.Equal([10, 30], view.ByStatus["2xx"]);
        Assert.Equal(5, view.StepSeconds);
        Assert.Equal(TimeSpan.FromSeconds(5), view.Times[1] - view.Times[0]);
    }

    [Fact]
    public void Each_window_has_its_length_and_no_more()
    {
        for (int i = 0; i < 25 * 3600 / 5; i++)
        {
            Tick(5, 50);
        }

        HistoryView minutes = _history.Read("15m", _marks)!, day = _history.Read("24h", _marks)!;

        Assert.Equal((180, 288), (minutes.Times.Count, day.Times.Count));
        Assert.Equal(TimeSpan.FromMinutes(15) - TimeSpan.FromSeconds(5), minutes.Times[^1] - minutes.Times[0]);
        Assert.Equal(TimeSpan.FromHours(24) - TimeSpan.FromMinutes(5), day.Times[^1] - day.Times[0]);
        Assert.All(day.All.RequestsPerSec, static rate => Assert.Equal(10, rate));
        Assert.Null(_history.Read("1h", _marks));
    }

    [Fact]
    public void Backend_has_values_only_while_it_was_there()
    {
        Tick(1, 0, "a:1");
        Tick(5, 5, "a:1");
        Tick(5, 5, "a:1", "b:1");
        Tick(5, 5, "b:1");

        HistoryView view = _history.Read("15m", _marks)!;

        Assert.Equal(["a:1", "b:1"], view.Series.Select(static one => one.Backend).OfType<string>());
        Assert.Equal([true, true, false], Has(view, "a:1"));
        Assert.Equal([false, true, true], Has(view, "b:1"));
        Assert.Equal([true, true, true], Has(view, null));
    }

    [Fact]
    public void Number_of_series_is_bounded()
    {
        string[] many = [.. Enumerable.Range(1, 1000).Select(static i => $"10.0.0.{i}:80")];
        Tick(1, 0, many);
        Tick(5, 0, many);

        Assert.Equal(TrafficHistory.MaxSeries, _history.Read("15m", _marks)!.Series.Count);
    }

    [Fact]
    public void Process_that_stood_still_continues_with_the_next_step()
    {
        Tick(1, 0);
        Tick(5, 5);
        Tick(3600, 0);
        Tick(5, 5);

        HistoryView view = _history.Read("15m", _marks)!;

        Assert.Equal([1, 0, 1], view.All.RequestsPerSec);
        Assert.Equal([3600, 5], view.Times.Zip(view.Times.Skip(1), static (one, next) => (next - one).TotalSeconds));
    }

    [Fact]
    public void Marks_of_the_time_come_along()
    {
        _marks.Add("long_ago", Microsoft.Extensions.Logging.LogLevel.Information, "before the steps");
        Tick(3600, 0);
        _marks.Add("reloaded", Microsoft.Extensions.Logging.LogLevel.Information, "configuration reloaded");
        Tick(5, 0);

        Assert.Equal(["reloaded"], _history.Read("15m", _marks)!.Marks.Select(static mark => mark.Event));
    }

    private static IEnumerable<bool> Has(HistoryView view, string? backend) =>
        view.Series.Single(one => one.Backend == backend).Lines.RequestsPerSec.Select(static rate => rate is not null);

    private void Tick(double seconds, long requests, params string[] backends)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        _seconds += seconds;
        _requests += requests;
        TrafficReading reading = Readings.At(_seconds, _requests,
            backends: [.. backends.Select(address => Readings.Backend(address, (uint)_requests, 0))]);
        _history.Add(reading, _time.GetUtcNow());
    }
}
