using System.Diagnostics;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Exchanges;

/// <summary>Bytes that were received, or are still to be sent, in a pooled buffer that grows with them. It holds no
/// buffer while it is empty and was released. A mutable struct: use it as a field, and do not copy it.</summary>
internal struct ByteWindow
{
    private byte[]? _buffer;
    private int _start;
    private int _end;

    public readonly int Length => _end - _start;

    public readonly bool HasBuffer => _buffer is not null;

    public readonly ReadOnlySpan<byte> Bytes => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Room behind the bytes to receive more; <see cref="Add"/> tells how many came. Empty only when a buffer
    /// of the largest size is full: a parser has rejected what it holds before that.</summary>
    /// <param name="firstBytes">How large a buffer to begin with.</param>
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

    /// <summary>The first bytes are done with.</summary>
    public void Consume(int count)
    {
        Debug.Assert(count >= 0 && count <= Length, "more than there are");
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    /// <summary>Keeps the first bytes and has these behind them, in place of what is there.</summary>
    /// <param name="keep">How many are kept.</param>
    /// <returns>False when both do not fit into the largest buffer; nothing is changed then.</returns>
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

    /// <summary>Holds a copy of these bytes, which may be more than a pooled buffer takes.</summary>
    public void Fill(ReadOnlySpan<byte> bytes, BufferPool pool)
    {
        Debug.Assert(_buffer is null, "bytes would be lost");
        _buffer = bytes.Length <= BufferPool.Large
            ? pool.Rent(bytes.Length) : GC.AllocateUninitializedArray<byte>(bytes.Length);
        bytes.CopyTo(_buffer);
        (_start, _end) = (0, bytes.Length);
    }

    /// <summary>Takes over a buffer of the pool with so many bytes.</summary>
    public void Adopt(byte[] buffer, int count)
    {
        Debug.Assert(_buffer is null, "a buffer would be lost");
        (_buffer, _start, _end) = (buffer, 0, count);
    }

    /// <summary>Gives the buffer back; its bytes are gone.</summary>
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
