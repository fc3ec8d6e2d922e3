using Penstock.Proxy.EventLoop;
using Xunit;

namespace Penstock.UnitTests.EventLoop;

public sealed class BufferPoolTests
{
    [Theory]
    [InlineData(1, BufferPool.Small)]
    [InlineData(BufferPool.Small, BufferPool.Small)]
    [InlineData(BufferPool.Small + 1, BufferPool.Medium)]
    [InlineData(BufferPool.Medium, BufferPool.Medium)]
    [InlineData(BufferPool.Medium + 1, BufferPool.Large)]
    [InlineData(BufferPool.Large, BufferPool.Large)]
    public void Rent_gives_the_smallest_that_is_large_enough(int size, int length) =>
        Assert.Equal(length, new BufferPool().Rent(size).Length);

    [Fact]
    public void Rent_of_more_than_the_largest_is_a_bug()
    {
        var pool = new BufferPool();
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Rent(BufferPool.Large + 1));
        Assert.Equal(0, pool.Rented);
    }

    [Fact]
    public void Rent_gives_the_last_returned_of_its_size()
    {
        var pool = new BufferPool();
        byte[] first = pool.Rent(1);
        byte[] second = pool.Rent(1);
        byte[] large = pool.Rent(BufferPool.Large);
        Assert.NotSame(first, second);
        Assert.Equal(3, pool.Rented);

        pool.Return(first);
        pool.Return(second);
        pool.Return(large);
        Assert.Equal(0, pool.Rented);
        Assert.Same(second, pool.Rent(1));
        Assert.Same(first, pool.Rent(1));
        Assert.Same(large, pool.Rent(BufferPool.Medium + 1));
    }

    [Fact]
    public void Return_beyond_16_MiB_of_a_size_lets_the_rest_go()
    {
        const int kept = 16 * 1024 * 1024 / BufferPool.Large;
        var pool = new BufferPool();
        byte[][] rented = [.. Enumerable.Range(0, kept + 1).Select(_ => pool.Rent(BufferPool.Large))];
        Array.ForEach(rented, pool.Return);
        byte[][] again = [.. Enumerable.Range(0, kept + 1).Select(_ => pool.Rent(BufferPool.Large))];
        Assert.Equal(kept, again.Intersect(rented).Count());
    }
}
