using Penstock.Proxy.Health;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Health;

public sealed class CheckStreakTests
{
    /// <summary>Checks: + passed, - failed. Health after each: ? unknown, U up, D down.</summary>
    [Theory]
    [InlineData(2, 3, "+", "U")]
    [InlineData(2, 3, "-", "D")]
    [InlineData(2, 3, "+--+---", "UUUUUUD")]
    [InlineData(2, 3, "+---+-++", "UUUDDDDU")]
    [InlineData(2, 3, "-+-++---", "DDDDUUUD")]
    [InlineData(1, 1, "+-+-", "UDUD")]
    [InlineData(3, 1, "-++-+++", "DDDDDDU")]
    [InlineData(2, 3, "--++", "DDDU")]
    public void Add_changes_health_after_rise_and_fall(int rise, int fall, string checks, string healths)
    {
        var streak = new CheckStreak(rise, fall);
        BackendHealth health = BackendHealth.Unknown;
        string seen = "";
        foreach (char check in checks)
        {
            BackendHealth? changed = streak.Add(check == '+', health);
            Assert.NotEqual(health, changed);
            health = changed ?? health;
            seen += health.ToString()[0];
        }
        Assert.Equal(healths, seen);
    }

    [Fact]
    public void Length_and_needed_tell_the_streak_under_way()
    {
        var streak = new CheckStreak(2, 3);
        streak.Add(passed: true, BackendHealth.Unknown);
        Assert.Equal((1, 2), (streak.Length, streak.Needed));
        streak.Add(passed: false, BackendHealth.Up);
        streak.Add(passed: false, BackendHealth.Up);
        Assert.Equal((2, 3), (streak.Length, streak.Needed));
    }

    /// <summary>As above; ! the next check comes fast.</summary>
    [Theory]
    [InlineData("+", ".")]
    [InlineData("+-", ".!")]
    [InlineData("+--+", ".!!.")]
    [InlineData("+---", ".!!!")]
    [InlineData("-", "!")]
    [InlineData("-+", "!!")]
    [InlineData("-++", "!!.")]
    public void Checks_are_urgent_while_down_or_about_to_be(string checks, string urgent)
    {
        var streak = new CheckStreak(2, 3);
        BackendHealth health = BackendHealth.Unknown;
        string seen = "";
        foreach (char check in checks)
        {
            health = streak.Add(check == '+', health) ?? health;
            seen += streak.IsUrgent(health) ? '!' : '.';
        }
        Assert.Equal(urgent, seen);
    }
}
