namespace Penstock.Control.Simulation;

/// <summary>Splits bytes that arrive in pieces of any length into lines, in constant memory. Not thread-safe.</summary>
internal sealed class LineReader
{
    /// <summary>Longer lines are skipped, see <see cref="TooLong"/>.</summary>
    public const int MaxLineBytes = 1 << 20;

    private byte[] _buffer = new byte[256 * 1024];
    private int _start;
    private int _end;
    private int _searched;
    private bool _cut;
    private bool _ended;

    /// <summary>Counted from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The line was longer than <see cref="MaxLineBytes"/> and is skipped.</summary>
    public bool TooLong { get; private set; }

    /// <summary>Adds the next bytes. Before that, read all lines that there are, so that the buffer stays small.
    /// </summary>
    public void Add(ReadOnlySpan<byte> piece)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_buffer.Length - _end < piece.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _end + piece.Length));
        }

        piece.CopyTo(_buffer.AsSpan(_end));
        _end += piece.Length;
    }

    /// <summary>No more bytes come, so the last line may have no line break.</summary>
    public void End() => _ended = true;

    /// <param name="line">The line without its line break; valid until the next call.</param>
    /// <returns>False if there is no whole line.</returns>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        line = default;
        ReadOnlySpan<byte> rest = _buffer.AsSpan(_start, _end - _start);
        int found = rest[_searched..].IndexOf((byte)'\n');
        if (found < 0 && !(_ended && (_cut || rest.Length > 0)))
        {
            _searched = rest.Length;
            if (rest.Length > MaxLineBytes)
            {
                _cut = true;
                (_start, _searched) = (_end, 0);
            }

            return false;
        }

        int length = found < 0 ? rest.Length : _searched + found;
        TooLong = _cut || length > MaxLineBytes;
        line = TooLong ? default : rest[..length].TrimEnd((byte)'\r');
        _start += length + (found < 0 ? 0 : 1);
        (_searched, _cut) = (0, false);
        Number++;
        return true;
    }
}
