namespace Penstock.Proxy.EventLoop;

/// <summary>Buffers of three sizes, the last returned first (it is still in the cache). Belongs to one loop; not
/// thread-safe. Buffers are pinned, so the collector never moves or copies them.</summary>
internal sealed class BufferPool
{
    public const int Small = 4 * 1024;
    public const int Medium = 16 * 1024;
    public const int Large = 64 * 1024;

    /// <summary>Bytes kept for reuse per size; what is returned beyond that goes to the collector.</summary>
    private const int MaxKeptBytes = 16 * 1024 * 1024;

    private readonly Stack<byte[]> _small = new();
    private readonly Stack<byte[]> _medium = new();
    private readonly Stack<byte[]> _large = new();

    /// <summary>Buffers rented and not yet returned; a storm that is over leaves none.</summary>
    public int Rented { get; private set; }

    /// <summary>A buffer of at least that many bytes, at most <see cref="Large"/>.</summary>
    public byte[] Rent(int size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, Large);
        Rented++;
        int exact = size <= Small ? Small : size <= Medium ? Medium : Large;
        return StackOf(exact).TryPop(out byte[]? buffer)
            ? buffer : GC.AllocateUninitializedArray<byte>(exact, pinned: true);
    }

    public void Return(byte[] buffer)
    {
        Rented--;
        Stack<byte[]> stack = StackOf(buffer.Length);
        if ((long)stack.Count * buffer.Length < MaxKeptBytes)
        {
            stack.Push(buffer);
        }
    }

    private Stack<byte[]> StackOf(int size) => size == Small ? _small : size == Medium ? _medium : _large;
}
