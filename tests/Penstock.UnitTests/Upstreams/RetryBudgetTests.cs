using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Upstreams;

public sealed class RetryBudgetTests
{
    [Fact]
    public void Retries_of_a_long_outage_are_the_share_of_the_requests()
    {
        var budget = new RetryBudget(3);
        budget.Bound(50);
        int retries = 0;
        for (int i = 0; i < 10_000; i++)
        {
            budget.Deposit(0.2);
            retries += budget.TryWithdraw() ? 1 : 0;
        }
        Assert.InRange(retries, 2000, 2003);
    }

    [Fact]
    public void Account_of_a_good_time_holds_no_more_than_what_was_in_flight()
    {
        var budget = new RetryBudget(3);
        budget.Bound(50);
        for (int i = 0; i < 100_000; i++)
        {
            budget.Deposit(0.2);
        }
        Assert.InRange(budget.Left, 50, 50.2);
        Assert.Equal(50, Enumerable.Range(0, 1000).Count(_ => budget.TryWithdraw()));
    }

    [Fact]
    public void Quiet_upstream_may_always_make_a_few()
    {
        var budget = new RetryBudget(3);
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(_ => budget.TryWithdraw()));
        for (int i = 0; i < 5; i++)
        {
            budget.Deposit(0.2);
        }
        Assert.True(budget.TryWithdraw());
        Assert.False(budget.TryWithdraw());
    }

    [Fact]
    public void Many_threads_withdraw_what_is_there()
    {
        var budget = new RetryBudget(1000);
        int withdrawn = 0;
        Parallel.For(0, 16, _ =>
        {
            for (int i = 0; i < 1000; i++)
            {
                if (budget.TryWithdraw())
                {
                    Interlocked.Increment(ref withdrawn);
                }
            }
        });
        Assert.Equal(1000, withdrawn);
    }
}
