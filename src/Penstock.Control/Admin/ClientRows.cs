using System.Text.Unicode;
using Penstock.Control.Store;

namespace Penstock.Control.Admin;

/// <summary>Reads clients from a file, which arrives in pieces of any size. Collects all faults with their lines; a
/// faulty row does not hide faults of other rows. Not thread-safe.</summary>
internal abstract class ClientRows
{
    /// <summary>How many faults are kept; further faults are only counted.</summary>
    public const int MaxFaults = 100;

    /// <summary>The maximum length of a row in bytes: several times the longest client, however it is escaped.
    /// </summary>
    public const int MaxRowBytes = 16 * 1024;

    /// <summary>How the API is told the right form of a file. Commands have their own words for these two.</summary>
    public const string SendAsCsv = "send it as text/csv";
    public const string SendAsJsonLines = "send it as application/x-ndjson";

    private readonly Dictionary<string, int> _lineOfId = [];
    private readonly List<FieldFault> _faults = [];
    private int _line;
    private bool _skipping;

    /// <summary>The clients in the order of the file, none twice. Incomplete as soon as there is a fault.</summary>
    public List<ClientRow> Clients { get; } = [];

    /// <summary>The line of each of <see cref="Clients"/>, from 1.</summary>
    public List<int> Lines { get; } = [];

    /// <summary>The first <see cref="MaxFaults"/> faults; the field of each is its line.</summary>
    public IReadOnlyList<FieldFault> Faults => _faults;

    public int FaultCount { get; private set; }

    /// <summary>The file is none of this form at all. That is its only fault: none of its rows is read.</summary>
    protected bool IsOtherForm { get; private set; }

    /// <summary>Reads the complete rows.</summary>
    /// <param name="bytes">The rest of the previous call, and the bytes that follow.</param>
    /// <param name="last">True: the file ends with these bytes.</param>
    /// <returns>How many bytes were read. The next call must begin with the rest, at most <see cref="MaxRowBytes"/>.
    /// </returns>
    public int Read(ReadOnlySpan<byte> bytes, bool last)
    {
        int taken = 0;
        if (_line == 0)
        {
            // Skip a byte order mark, which some spreadsheets and editors write.
            ReadOnlySpan<byte> mark = [0xef, 0xbb, 0xbf];
            if (!last && bytes.Length < mark.Length && mark.StartsWith(bytes))
            {
                return 0;
            }

            taken = bytes.StartsWith(mark) ? mark.Length : 0;
            _line = 1;
        }
        while (!IsOtherForm && taken < bytes.Length && ReadRow(bytes[taken..], last) is > 0 and var length)
        {
            taken += length;
        }

        taken = IsOtherForm ? bytes.Length : taken;

        if (last && !IsOtherForm)
        {
            End(_line);
        }

        return taken;
    }

    /// <summary>Reports a fault.</summary>
    /// <param name="line">The line; the first one of a row with several lines.</param>
    /// <param name="fault">The sentence.</param>
    public void Fault(int line, string fault)
    {
        if (++FaultCount <= MaxFaults)
        {
            _faults.Add(new($"line {line}", fault));
        }
    }

    /// <summary>Finds the end of the row that begins here: a line feed, or the end of the file.</summary>
    /// <returns>-1: the row does not end within these bytes.</returns>
    protected virtual int EndOf(ReadOnlySpan<byte> bytes, bool last)
    {
        int end = bytes.IndexOf((byte)'\n');
        return end < 0 && last ? bytes.Length : end;
    }

    /// <summary>Reads a row. It is not empty, not too long, and valid UTF-8.</summary>
    /// <returns>False: a fault, and the row may not end where it seems to end.</returns>
    protected abstract bool TryRead(int line, ReadOnlySpan<byte> row);

    /// <summary>Called after the last row.</summary>
    /// <param name="line">The last line.</param>
    protected virtual void End(int line)
    {
    }

    /// <summary>Reports that the file has another form.</summary>
    protected void OtherForm(int line, string fault)
    {
        IsOtherForm = true;
        Fault(line, fault);
    }

    /// <summary>Called before the fault of a row that is too long.</summary>
    /// <param name="start">Its beginning.</param>
    protected virtual void LookAtLong(int line, ReadOnlySpan<byte> start)
    {
    }

    /// <summary>Adds a client, unless it has faults or the file has it twice.</summary>
    protected void Add(int line, string clientId, ClientChange change, IEnumerable<FieldFault> faults)
    {
        bool badId = clientId.Length == 0;
        foreach (FieldFault fault in faults)
        {
            badId |= fault.Field == ClientDraft.ClientId;
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

    /// <returns>How many bytes were read; 0 if more bytes are needed first.</returns>
    private int ReadRow(ReadOnlySpan<byte> bytes, bool last)
    {
        int lineEnd = bytes.IndexOf((byte)'\n');
        int lineLength = lineEnd < 0 ? bytes.Length : lineEnd;
        if (_skipping || lineLength > MaxRowBytes)
        {
            if (!_skipping)
            {
                LookAtLong(_line, bytes[..lineLength]);
            }
            if (!_skipping && !IsOtherForm)
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
            // A row over several lines does not end: report its first line.
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
