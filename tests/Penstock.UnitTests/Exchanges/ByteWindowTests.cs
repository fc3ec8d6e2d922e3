using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Exchanges;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class ByteWindowTests
{
    [Fact]
    public void Window_holds_what_a_list_would_and_gives_every_buffer_back()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        var pool = new BufferPool();
        var window = default(ByteWindow);
        List<byte> model = [];
        for (int i = 0; i < 20_000; i++)
        {
            switch (random.Next(12))
            {
                case 0:
                    window.Release(pool);
                    model.Clear();
                    break;
                case < 6:
                    int used = random.Next(model.Count + 1);
                    window.Consume(used);
                    model.RemoveRange(0, used);
                    break;
                case 6 when window.HasBuffer:
                    byte[] behind = RandomBytes(random, random.Next(70_000));
                    int keep = random.Next(model.Count + 1);
                    if (window.TryReplaceAfter(keep, behind, pool))
                    {
                        model.RemoveRange(keep, model.Count - keep);
                        model.AddRange(behind);
                    }
                    break;
                default:
                    Span<byte> room = window.Room(pool, BufferPool.Small);
                    Assert.True(room.Length > 0 || model.Count == BufferPool.Large, $"no room; seed {seed}");
                    byte[] more = RandomBytes(random, random.Next(room.Length + 1));
                    more.CopyTo(room);
                    window.Add(more.Length);
                    model.AddRange(more);
                    break;
            }
            Assert.True(window.Bytes.SequenceEqual(model.ToArray()), $"step {i}, seed {seed}");
            Assert.Equal(window.HasBuffer ? 1 : 0, pool.Rented);
        }
        window.Release(pool);
        Assert.Equal(0, pool.Rented);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(BufferPool.Large)]
    [InlineData(BufferPool.Large + 1)] // more than the pool has
    public void Fill_copies_any_length(int count)
    {
        var pool = new BufferPool();
        var window = default(ByteWindow);
        byte[] bytes = RandomBytes(new Random(1), count);
        window.Fill(bytes, pool);
        Assert.True(window.Bytes.SequenceEqual(bytes));
        window.Consume(count);
        Assert.Equal(0, window.Length);
        window.Release(pool);
        Assert.Equal(0, pool.Rented);
    }

    private static byte[] RandomBytes(Random random, int count)
    {
        byte[] bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }
}
