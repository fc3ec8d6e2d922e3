namespace Penstock.Proxy.Observability;

/// <summary>Access lines that were lost since start, of all targets. Thread-safe.</summary>
internal sealed class DroppedLines
{
    private long _lines;
    private long _bytes;

    public long Lines => Volatile.Read(ref _lines);

    public long Bytes => Volatile.Read(ref _bytes);

    /// <param name="lines">Each ends with a line feed; the first may be the rest of a line.</param>
    public void Add(ReadOnlySpan<byte> lines)
    {
        Interlocked.Add(ref _lines, lines.Count((byte)'\n'));
        Interlocked.Add(ref _bytes, lines.Length);
    }
}
