using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Upstreams;

public sealed class RetryBudgetTests
{
    private const long SecondNs = 1_000_000_000;

    [Fact]
    public void Retries_of_a_long_outage_are_the_share_of_the_requests_and_the_free_ones()
    {
        // 10,000 requests in 10 seconds: 20 % of them, ten a second, and those of the ten seconds before.
        var budget = new RetryBudget(50);
        int retries = 0;
        for (int i = 0; i < 10_000; i++)
        {
            budget.Deposit(0.2);
            retries += budget.TryWithdraw(10, i * 1_000_000L) ? 1 : 0;
        }
        Assert.InRange(retries, 2198, 2201);
    }

    [Fact]
    public void Account_of_a_good_time_holds_no_more_than_what_was_in_flight()
    {
        var budget = new RetryBudget(50);
        for (int i = 0; i < 100_000; i++)
        {
            budget.Deposit(0.2);
        }
        Assert.InRange(budget.Left, 50, 50.2);
        Assert.Equal(50, Enumerable.Range(0, 1000).Count(_ => budget.TryWithdraw(0, 0)));
    }

    [Fact]
    public void Quiet_upstream_has_its_free_retries_at_once_at_the_start_and_again_later()
    {
        var budget = new RetryBudget(100);
        Assert.Equal(100, Withdrawn(budget, 200, 0));
        Assert.Equal(0, Withdrawn(budget, 200, SecondNs / 11));
        Assert.Equal(10, Withdrawn(budget, 200, SecondNs));
        Assert.Equal(20, Withdrawn(budget, 200, 3 * SecondNs));
        Assert.Equal(100, Withdrawn(budget, 200, 1000 * SecondNs));
    }

    [Fact]
    public void Free_retries_can_be_turned_off_and_on_while_it_lives()
    {
        var budget = new RetryBudget(100);
        Assert.False(budget.TryWithdraw(0, 0));
        Assert.True(budget.TryWithdraw(1, 0));
        Assert.False(budget.TryWithdraw(0, SecondNs));
        budget.Deposit(1);
        Assert.True(budget.TryWithdraw(0, SecondNs));
    }

    [Fact]
    public void Many_threads_withdraw_what_is_there()
    {
        var budget = new RetryBudget(1000);
        for (int i = 0; i < 1000; i++)
        {
            budget.Deposit(1);
        }
        int withdrawn = 0;
        Parallel.For(0, 16, _ =>
        {
            for (int i = 0; i < 1000; i++)
            {
                if (budget.TryWithdraw(100, 0))
                {
                    Interlocked.Increment(ref withdrawn);
                }
            }
        });
        Assert.Equal(2000, withdrawn);
    }

    private static int Withdrawn(RetryBudget budget, int tries, long nowNs) =>
        Enumerable.Range(0, tries).Count(_ => budget.TryWithdraw(10, nowNs));
}
