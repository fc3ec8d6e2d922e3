using Penstock.Proxy.Health;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Health;

public sealed class SelfDelayTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void Timer_in_time_loses_nothing()
    {
        using var watch = new SelfDelay(_time);
        for (int i = 0; i < 100; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(i % 2 == 0 ? 50 : 58)); // as late as on any machine
        }
        Assert.Equal(TimeSpan.Zero, watch.Lost);
    }

    [Fact]
    public void Stop_of_the_process_is_lost_but_for_one_period()
    {
        using var watch = new SelfDelay(_time);
        _time.Advance(TimeSpan.FromSeconds(10));
        _time.Advance(TimeSpan.FromMilliseconds(50));
        Assert.Equal(TimeSpan.FromMilliseconds(9950), watch.Lost);
    }

    [Fact]
    public void Many_short_delays_add_up()
    {
        using var watch = new SelfDelay(_time);
        for (int i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100)); // a CPU quota's period
        }
        Assert.Equal(TimeSpan.FromMilliseconds(500), watch.Lost);
    }

    [Fact]
    public void Delay_under_way_counts_before_the_timer_fires()
    {
        var clock = new StoppedTimers();
        using var watch = new SelfDelay(clock);
        clock.Now = TimeSpan.TicksPerSecond;
        Assert.Equal(TimeSpan.FromMilliseconds(950), watch.Lost);
    }

    /// <summary>A clock whose timers do not fire, as with a busy thread pool.</summary>
    private sealed class StoppedTimers : TimeProvider
    {
        public long Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new ManualTime().CreateTimer(callback, state, dueTime, period);
    }
}
