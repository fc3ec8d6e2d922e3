namespace Penstock.Proxy.EventLoop;

/// <summary>Buffers of three sizes, in bytes. The one returned last is rented first, because it is still in the
/// processor's cache. Buffers are pinned, so the garbage collector never moves them. Belongs to one loop; not
/// thread-safe.</summary>
internal sealed class BufferPool
{
    public const int Small = 4 * 1024;
    public const int Medium = 16 * 1024;
    public const int Large = 64 * 1024;

    /// <summary>Bytes kept for reuse per size; further buffers are left to the garbage collector.</summary>
    private const int MaxKeptBytes = 16 * 1024 * 1024;

    private readonly Stack<byte[]> _small = new();
    private readonly Stack<byte[]> _medium = new();
    private readonly Stack<byte[]> _large = new();

    /// <summary>Buffers that are rented and not yet returned. Tests check that it is 0 after a load.</summary>
    public int Rented { get; private set; }

    /// <summary>Rents a buffer of at least <paramref name="size"/> bytes, which is at most
    /// <see cref="Large"/>.</summary>
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
