using FsCheck;
using FsCheck.Fluent;
using Penstock.Proxy.EventLoop;
using Xunit;

namespace Penstock.UnitTests.EventLoop;

public sealed class DeadlinesTests
{
    private const int Alarms = 6;

    /// <summary>Once round the wheel.</summary>
    private const int RoundMs = 512 * Deadlines.TickMs;

    private enum Act
    {
        Set,
        Clear,
        Remove,
        Advance,
    }

    private sealed record Move(Act Act, int Which, int Ms);

    [Fact]
    public void Wheel_fires_what_a_sorted_list_fires() => Check.One(
        FsCheck.Config.QuickThrowOnFailure.WithMaxTest(400).WithQuietOnSuccess(true),
        Prop.ForAll(Gen.ListOf(Moves()).Select(static l => l.ToArray()).ToArbitrary(), Run));

    [Fact]
    public void Set_in_OnDue_fires_again_and_never_in_the_same_moment()
    {
        var wheel = new Deadlines(0);
        Alarm alarm = null!;
        int again = 2;
        alarm = new Alarm(() =>
        {
            if (again-- > 0)
            {
                wheel.Set(alarm, 0);
            }
        });
        wheel.Set(alarm, 5);
        for (long now = 0; now <= 200; now += 20)
        {
            wheel.Advance(now);
            Assert.Equal(Math.Min(3, now / 20), alarm.Fired);
        }
        Assert.Equal(0, wheel.Count);
    }

    [Fact]
    public void Remove_in_OnDue_of_others_in_the_same_slot_keeps_them_silent()
    {
        var wheel = new Deadlines(0);
        List<Alarm> alarms = [];
        for (int i = 0; i < 4; i++)
        {
            alarms.Add(new Alarm(() => alarms.ForEach(wheel.Remove)));
        }
        alarms.ForEach(a => wheel.Set(a, 10));
        wheel.Advance(1000);
        Assert.Equal(1, alarms.Sum(static a => a.Fired));
        Assert.Equal(0, wheel.Count);
    }

    [Fact]
    public void WaitMs_is_the_time_to_the_next_slot_in_use()
    {
        var wheel = new Deadlines(1000);
        var alarm = new Alarm(static () => { });
        Assert.Equal(-1, wheel.WaitMs(1000));
        wheel.Set(alarm, 1100);
        Assert.Equal(120, wheel.WaitMs(1000));
        Assert.Equal(1, wheel.WaitMs(1119));
        Assert.Equal(0, wheel.WaitMs(1500));
        wheel.Advance(1119);
        Assert.Equal(0, alarm.Fired);
        wheel.Advance(1120);
        Assert.Equal(1, alarm.Fired);
        Assert.Equal(-1, wheel.WaitMs(1120));
    }

    [Fact]
    public void Set_further_than_the_wheel_reaches_waits_for_its_round()
    {
        var wheel = new Deadlines(0);
        var alarm = new Alarm(static () => { });
        wheel.Set(alarm, (3 * RoundMs) + 5);
        for (long now = 0; now < (3 * RoundMs) + 5; now += 500)
        {
            wheel.Advance(now);
            Assert.Equal(0, alarm.Fired);
            Assert.InRange(wheel.WaitMs(now), 0, RoundMs);
        }
        wheel.Advance((3 * RoundMs) + 25);
        Assert.Equal(1, alarm.Fired);
    }

    private static Gen<Move> Moves() =>
        from act in Gen.Frequency((4, Gen.Constant(Act.Set)), (1, Gen.Constant(Act.Clear)),
            (1, Gen.Constant(Act.Remove)), (4, Gen.Constant(Act.Advance)))
        from which in Gen.Choose(0, Alarms - 1)
        from ms in Gen.OneOf(Gen.Choose(0, 100), Gen.Choose(0, 3000), Gen.Choose(0, 3 * RoundMs))
        select new Move(act, which, ms);

    private static void Run(Move[] moves)
    {
        long now = 12_345;
        var wheel = new Deadlines(now);
        long?[] due = new long?[Alarms];
        var alarms = new Alarm[Alarms];
        for (int i = 0; i < Alarms; i++)
        {
            int which = i;
            alarms[i] = new Alarm(() =>
            {
                Assert.True(due[which] <= now, "fired early, or twice, or though it was cleared");
                due[which] = null;
            });
        }

        Move[] untilAllIsOver = [.. moves, new Move(Act.Advance, 0, 7 * RoundMs)];
        foreach (Move move in untilAllIsOver)
        {
            switch (move.Act)
            {
                case Act.Set:
                    due[move.Which] = now + move.Ms;
                    wheel.Set(alarms[move.Which], now + move.Ms);
                    break;
                case Act.Clear:
                    due[move.Which] = null;
                    Deadlines.Clear(alarms[move.Which]);
                    break;
                case Act.Remove:
                    due[move.Which] = null;
                    wheel.Remove(alarms[move.Which]);
                    break;
                default:
                    now += move.Ms;
                    wheel.Advance(now);
                    Assert.All(due, d => Assert.False(d + Deadlines.TickMs <= now, "fired late"));
                    break;
            }
            Assert.InRange(wheel.Count, due.Count(static d => d is not null), Alarms);
            for (int i = 0; i < Alarms; i++)
            {
                Assert.Equal(due[i] ?? long.MaxValue, alarms[i].DueMs);
            }
            if (due.Min() is { } next)
            {
                Assert.InRange(wheel.WaitMs(now), 0, Math.Max(0, next - now) + Deadlines.TickMs);
            }
        }
        Assert.Equal(0, wheel.Count);
    }

    private sealed class Alarm(Action onDue) : Deadline
    {
        public int Fired { get; private set; }

        public override void OnDue()
        {
            Fired++;
            onDue();
        }
    }
}
