namespace Penstock.Proxy.Observability;

/// <summary>One loop's buffer of access lines. It is passed to the <see cref="AccessLog"/> when it is full or when the
/// loop flushes it. Not thread-safe.</summary>
internal sealed class AccessLogWriter(AccessLog log)
{
    public const int BatchBytes = 64 * 1024;

    private byte[] _buffer = log.RentBatch();
    private int _length;

    /// <summary>At least <paramref name="size"/> bytes to write a line to. Then call <see cref="Commit"/> with the
    /// line's length.</summary>
    public Span<byte> Room(int size)
    {
        if (_length + size > BatchBytes)
        {
            Flush();
        }
        return _buffer.AsSpan(_length);
    }

    public void Commit(int length) => _length += length;

    public void Flush()
    {
        if (_length > 0)
        {
            log.Write(_buffer, _length);
            _buffer = log.RentBatch();
            _length = 0;
        }
    }
}
