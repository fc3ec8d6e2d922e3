namespace Penstock.Proxy.Observability;

/// <summary>One loop's end of the access log: a buffer of lines that is handed over when it is full, or when the loop
/// says so. Not thread-safe.</summary>
internal sealed class AccessLogWriter(AccessLog log)
{
    public const int BatchBytes = 64 * 1024;

    private byte[] _buffer = log.RentBatch();
    private int _length;

    /// <summary>Room for a line of that size; tell by <see cref="Commit"/> how much of it was used.</summary>
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
