using System.Text.Unicode;
using Penstock.Control.Store;

namespace Penstock.Control.Admin;

/// <summary>Clients out of a file of many, which comes in pieces of any size. What is wrong with it is collected with
/// its line, and a faulty row hides no other's faults. Not thread-safe.</summary>
internal abstract class ClientRows
{
    /// <summary>Faults that are kept; the others are counted.</summary>
    public const int MaxFaults = 100;

    /// <summary>Bytes of a row: several times what the longest client needs, however it is escaped.</summary>
    public const int MaxRowBytes = 16 * 1024;

    private readonly Dictionary<string, int> _lineOfId = [];
    private readonly List<FieldFault> _faults = [];
    private int _line;
    private bool _skipping;

    /// <summary>Those without fault, in the order of the file; none is there twice. Incomplete once there are
    /// faults.</summary>
    public List<ClientRow> Clients { get; } = [];

    /// <summary>The line of each of <see cref="Clients"/>, from 1.</summary>
    public List<int> Lines { get; } = [];

    /// <summary>The first <see cref="MaxFaults"/>: as field the line.</summary>
    public IReadOnlyList<FieldFault> Faults => _faults;

    public int FaultCount { get; private set; }

    /// <summary>Takes the rows that are complete.</summary>
    /// <param name="bytes">What was left of the last time, and more.</param>
    /// <param name="last">Nothing comes after these.</param>
    /// <returns>How many bytes are done with; the rest, at most <see cref="MaxRowBytes"/>, is to be given
    /// again.</returns>
    public int Read(ReadOnlySpan<byte> bytes, bool last)
    {
        int taken = 0;
        if (_line == 0)
        {
            // a byte order mark, as some spreadsheets and editors write it
            ReadOnlySpan<byte> mark = [0xef, 0xbb, 0xbf];
            if (!last && bytes.Length < mark.Length && mark.StartsWith(bytes))
            {
                return 0;
            }

            taken = bytes.StartsWith(mark) ? mark.Length : 0;
            _line = 1;
        }
        while (taken < bytes.Length && ReadRow(bytes[taken..], last) is > 0 and var length)
        {
            taken += length;
        }

        if (last)
        {
            End(_line);
        }

        return taken;
    }

    /// <param name="line">Its first, if it has several.</param>
    /// <param name="fault">At this line.</param>
    public void Fault(int line, string fault)
    {
        if (++FaultCount <= MaxFaults)
        {
            _faults.Add(new($"line {line}", fault));
        }
    }

    /// <summary>Where the row ends that begins here: at a line feed, or with the data when they are the last.</summary>
    /// <returns>-1: not within these bytes.</returns>
    protected virtual int EndOf(ReadOnlySpan<byte> bytes, bool last)
    {
        int end = bytes.IndexOf((byte)'\n');
        return end < 0 && last ? bytes.Length : end;
    }

    /// <summary>Reads a row, which is neither empty nor too long and is valid UTF-8.</summary>
    /// <returns>False: a fault, and it is not sure that the row ends where it seemed to.</returns>
    protected abstract bool TryRead(int line, ReadOnlySpan<byte> row);

    /// <summary>No row comes any more.</summary>
    /// <param name="line">The last one.</param>
    protected virtual void End(int line)
    {
    }

    /// <summary>Takes a client over, unless it has faults or is there already.</summary>
    protected void Add(int line, string clientId, ClientChange change, IEnumerable<FieldFault> faults)
    {
        bool badId = clientId.Length == 0;
        foreach (FieldFault fault in faults)
        {
            badId |= fault.Field == "client_id";
            Fault(line, $"{fault.Field} {fault.Message}");
        }
        if (!badId && !_lineOfId.TryAdd(clientId, line))
        {
            Fault(line, $"client_id '{clientId}' is the same as in line {_lineOfId[clientId]}");
        }

        if (FaultCount > 0)
        {
            return;
        }

        Clients.Add(new(clientId, change));
        Lines.Add(line);
    }

    /// <returns>Bytes that are done with; 0 when more must come first.</returns>
    private int ReadRow(ReadOnlySpan<byte> bytes, bool last)
    {
        int lineEnd = bytes.IndexOf((byte)'\n');
        int lineLength = lineEnd < 0 ? bytes.Length : lineEnd;
        if (_skipping || lineLength > MaxRowBytes)
        {
            if (!_skipping)
            {
                Fault(_line, $"is longer than {MaxRowBytes} bytes");
            }

            _skipping = lineEnd < 0;
            return EndLine(lineEnd, bytes);
        }
        int end = EndOf(bytes, last);
        if (end < 0 && bytes.Length <= MaxRowBytes && !last)
        {
            return 0;
        }

        if (end is < 0 or > MaxRowBytes)
        {
            // a row over several lines that does not end: its first line is what is wrong
            TryReadLine(bytes[..lineLength]);
            return EndLine(lineEnd, bytes);
        }
        if (!TryReadLine(bytes[..end]) && end > lineLength)
        {
            return EndLine(lineEnd, bytes);
        }

        _line += bytes[..end].Count((byte)'\n');
        return EndLine(end == bytes.Length ? -1 : end, bytes);
    }

    private bool TryReadLine(ReadOnlySpan<byte> row)
    {
        if (row.EndsWith("\r"u8))
        {
            row = row[..^1];
        }

        if (row.IsEmpty)
        {
            return true;
        }

        if (Utf8.IsValid(row))
        {
            return TryRead(_line, row);
        }

        Fault(_line, "is not valid UTF-8");
        return true;
    }

    private int EndLine(int lineEnd, ReadOnlySpan<byte> bytes)
    {
        if (lineEnd < 0)
        {
            return bytes.Length;
        }

        _line++;
        return lineEnd + 1;
    }
}
