using System.Diagnostics;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Exchanges;

/// <summary>Bytes that were received, or are still to be sent, in a pooled buffer that grows with them. After
/// <see cref="Release"/> it holds no buffer. A mutable struct: use it as a field, and do not copy it.</summary>
internal struct ByteWindow
{
    private byte[]? _buffer;
    private int _start;
    private int _end;

    public readonly int Length => _end - _start;

    public readonly bool HasBuffer => _buffer is not null;

    public readonly ReadOnlySpan<byte> Bytes => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Free room behind the bytes, to receive more; then call <see cref="Add"/>. It is empty only when a
    /// buffer of the largest size is full; parsers reject their input before that.</summary>
    /// <param name="firstBytes">The size of the first buffer.</param>
    public Span<byte> Room(BufferPool pool, int firstBytes)
    {
        _buffer ??= pool.Rent(firstBytes);
        if (_end == _buffer.Length)
        {
            MakeRoom(pool);
        }
        return _buffer.AsSpan(_end);
    }

    public void Add(int count)
    {
        Debug.Assert(_buffer is not null && count >= 0 && _end + count <= _buffer.Length, "more than there was room");
        _end += count;
    }

    /// <summary>Removes the first bytes.</summary>
    public void Consume(int count)
    {
        Debug.Assert(count >= 0 && count <= Length, "more than there are");
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    /// <summary>Keeps the first bytes and replaces those behind them.</summary>
    /// <param name="keep">How many bytes are kept.</param>
    /// <returns>False, without any change, when the result does not fit into the largest buffer.</returns>
    public bool TryReplaceAfter(int keep, ReadOnlySpan<byte> bytes, BufferPool pool)
    {
        int kept = _start + keep;
        if (kept + bytes.Length > BufferPool.Large)
        {
            return false;
        }
        if (kept + bytes.Length > _buffer!.Length)
        {
            byte[] larger = pool.Rent(kept + bytes.Length);
            _buffer.AsSpan(0, kept).CopyTo(larger);
            pool.Return(_buffer);
            _buffer = larger;
        }
        bytes.CopyTo(_buffer.AsSpan(kept));
        _end = kept + bytes.Length;
        return true;
    }

    /// <summary>Stores a copy of these bytes, which may be longer than a pooled buffer.</summary>
    public void Fill(ReadOnlySpan<byte> bytes, BufferPool pool)
    {
        Debug.Assert(_buffer is null, "bytes would be lost");
        _buffer = bytes.Length <= BufferPool.Large
            ? pool.Rent(bytes.Length) : GC.AllocateUninitializedArray<byte>(bytes.Length);
        bytes.CopyTo(_buffer);
        (_start, _end) = (0, bytes.Length);
    }

    /// <summary>Takes ownership of a pooled buffer that holds <paramref name="count"/> bytes.</summary>
    public void Adopt(byte[] buffer, int count)
    {
        Debug.Assert(_buffer is null, "a buffer would be lost");
        (_buffer, _start, _end) = (buffer, 0, count);
    }

    /// <summary>Copies the bytes, and releases the buffer.</summary>
    public byte[] Take(BufferPool pool)
    {
        byte[] taken = Bytes.ToArray();
        Release(pool);
        return taken;
    }

    /// <summary>Returns the buffer to the pool and forgets its bytes.</summary>
    public void Release(BufferPool pool)
    {
        if (_buffer is not null)
        {
            if (_buffer.Length <= BufferPool.Large)
            {
                pool.Return(_buffer);
            }
            _buffer = null;
        }
        _start = _end = 0;
    }

    private void MakeRoom(BufferPool pool)
    {
        int length = _end - _start;
        bool movesUp = length < _buffer!.Length / 2 || _buffer.Length == BufferPool.Large;
        byte[] target = movesUp ? _buffer : pool.Rent(_buffer.Length + 1);
        _buffer.AsSpan(_start, length).CopyTo(target);
        if (target != _buffer)
        {
            pool.Return(_buffer);
        }
        (_buffer, _start, _end) = (target, 0, length);
    }
}
