namespace Penstock.Control.Simulation;

/// <summary>Reads the lines of a stream of any length as bytes, in constant memory. Not thread-safe.</summary>
internal sealed class LineReader(Stream stream)
{
    /// <summary>Longer lines are skipped, see <see cref="TooLong"/>.</summary>
    public const int MaxLineBytes = 1 << 20;

    private byte[] _buffer = new byte[256 * 1024];
    private int _start;
    private int _end;
    private bool _ended;

    /// <summary>Counted from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The line was longer than <see cref="MaxLineBytes"/> and is skipped.</summary>
    public bool TooLong { get; private set; }

    /// <param name="line">The line without its line break; valid until the next call.</param>
    /// <returns>False at the end of the stream.</returns>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        TooLong = false;
        int searched = 0;
        while (true)
        {
            int end = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (end >= 0 || (_ended && _start < _end))
            {
                int length = end >= 0 ? searched + end : _end - _start;
                TooLong |= length > MaxLineBytes;
                line = TooLong ? default : _buffer.AsSpan(_start, length).TrimEnd((byte)'\r');
                _start += length + (end >= 0 ? 1 : 0);
                Number++;
                return true;
            }
            if (_ended)
            {
                line = default;
                return false;
            }
            searched = _end - _start;
            if (searched > MaxLineBytes)
            {
                TooLong = true;
                _start = _end;
                searched = 0;
            }
            Fill();
        }
    }

    private void Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int count = stream.Read(_buffer, _end, _buffer.Length - _end);
        _end += count;
        _ended = count == 0;
    }
}
