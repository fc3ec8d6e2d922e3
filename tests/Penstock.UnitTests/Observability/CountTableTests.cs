using Penstock.Proxy.Observability;
using Xunit;

namespace Penstock.UnitTests.Observability;

public sealed class CountTableTests
{
    [Fact]
    public void Counts_each_key_over_many_enlargements()
    {
        var table = new CountTable();
        var random = new Random(7);
        var expected = new Dictionary<uint, long>();
        for (int i = 0; i < 100_000; i++)
        {
            uint key = (uint)random.Next(1, 2000) << 8;
            table.Add(key);
            expected[key] = expected.GetValueOrDefault(key) + 1;
        }

        Assert.Equal(expected, table.Read().ToDictionary());
    }

    [Fact]
    public async Task Reader_sees_no_count_shrink_and_no_key_that_was_not_added()
    {
        var table = new CountTable();
        var writer = Task.Run(() =>
        {
            for (uint i = 0; i < 2_000_000; i++)
            {
                table.Add(1 + (i % 500));
            }
        });
        long before = 0;
        while (!writer.IsCompleted)
        {
            List<(uint Key, long Count)> seen = [.. table.Read()];
            Assert.All(seen, static one => Assert.InRange(one.Key, 1u, 500u));
            Assert.Distinct(seen.Select(static one => one.Key));
            long sum = seen.Sum(static one => one.Count);
            Assert.True(sum >= before, $"{sum} after {before}");
            before = sum;
        }
        await writer;
        Assert.Equal(2_000_000, table.Read().Sum(static one => one.Count));
    }

    [Fact]
    public void Counting_a_known_key_allocates_nothing()
    {
        var table = new CountTable();
        table.Add(5);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            table.Add(5);
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
