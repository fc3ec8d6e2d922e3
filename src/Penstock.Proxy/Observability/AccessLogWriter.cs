namespace Penstock.Proxy.Observability;

/// <summary>One loop's buffer of access lines. It is passed to the <see cref="AccessLog"/> when it is full or when the
/// loop flushes it. Not thread-safe.</summary>
internal sealed class AccessLogWriter(AccessLog log)
{
    public const int BatchBytes = 64 * 1024;

    private byte[] _buffer = log.RentBatch();
    private int _length;

    /// <param name="line">With its end; at most <see cref="BatchBytes"/>.</param>
    public void Add(ReadOnlySpan<byte> line)
    {
        if (_length + line.Length > BatchBytes)
        {
            Flush();
        }
        line.CopyTo(_buffer.AsSpan(_length));
        _length += line.Length;
    }

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
