using System.Globalization;
using System.Text;
using nietras.SeparatedValues;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>CSV (RFC 4180, read strictly): one client per row, after a header line with the names of the columns. The
/// library gets one row at a time, so that a fault affects only its own line and is reported with that line.</summary>
internal sealed class CsvRows : ClientRows
{
    private const int MaxShownLength = 40;
    private static readonly string[] Required =
        [ClientDraft.ClientId, ClientDraft.Capacity, ClientDraft.RatePerSecond];

    private static readonly SepReaderOptions Reader =
        Sep.New(',').Reader(static reader => reader with { HasHeader = false, DisableColCountCheck = true });

    private readonly List<string> _fields = [];
    private List<string>? _columns;
    private bool _badHeader;

    /// <summary>Finds the line feed that ends the row, which is not one in quotes. Counting quotes is enough, because
    /// an escaped quote is written as two.</summary>
    protected override int EndOf(ReadOnlySpan<byte> bytes, bool last)
    {
        bool quoted = false;
        for (int i = 0; i < bytes.Length;)
        {
            int next = bytes[i..].IndexOfAny((byte)'"', (byte)'\n');
            if (next < 0)
            {
                break;
            }

            i += next;
            if (bytes[i] == '"')
            {
                quoted = !quoted;
            }
            else if (!quoted)
            {
                return i;
            }

            i++;
        }
        return last && !quoted ? bytes.Length : -1;
    }

    protected override bool TryRead(int line, ReadOnlySpan<byte> row)
    {
        if (_badHeader)
        {
            return true; // without a header no row can be read
        }

        if (_columns is null && OtherFormOf(row) is { } form)
        {
            OtherForm(line, form);
            return true;
        }

        string? fault = Split(Encoding.UTF8.GetString(row), _fields);
        if (_columns is null)
        {
            ReadHeader(line, fault);
        }
        else if (fault is not null)
        {
            Fault(line, fault);
        }
        else if (_fields.Count != _columns.Count)
        {
            Fault(line, $"has {Counted.Of(_fields.Count, "field")}, but the header line has {_columns.Count}");
        }
        else
        {
            ReadClient(line);
        }

        return fault is null;
    }

    protected override void End(int line)
    {
        if (_columns is null && !_badHeader)
        {
            Fault(line, MissingHeader);
        }
    }

    /// <summary>JSON, or a table with other separators, which a spreadsheet may write.</summary>
    private static string? OtherFormOf(ReadOnlySpan<byte> header)
    {
        ReadOnlySpan<byte> text = header.Trim(" \t"u8);
        if (text.StartsWith("{"u8) || text.StartsWith("["u8))
        {
            return "is JSON, not CSV" + (text.StartsWith("{"u8) ? $": {SendAsJsonLines}" : "");
        }

        char? used = header.Contains((byte)';') ? ';' : header.Contains((byte)'\t') ? '\t' : null;
        return used is { } other && Encoding.UTF8.GetString(header).Split(other).Select(static name => name.Trim('"'))
            .Any(ClientDraft.Members.Contains)
            ? $"the columns are separated by {(other == ';' ? "semicolons" : "tabs")}: separate them by commas" : null;
    }

    private static string MissingHeader => "the header line is missing: it must name the columns, separated by commas: "
        + $"{string.Join(", ", Required)}; optional: {string.Join(", ", ClientDraft.Members.Except(Required))}";

    private void ReadHeader(int line, string? fault)
    {
        _columns = [.. _fields];
        int before = FaultCount;
        if (fault is not null)
        {
            Fault(line, fault);
        }
        else if (!_columns.Exists(ClientDraft.Members.Contains))
        {
            Fault(line, MissingHeader);
        }
        else
        {
            foreach ((string? name, int count) in _columns.CountBy(static name => name))
            {
                if (!ClientDraft.Members.Contains(name))
                {
                    Fault(line, $"column {Shown(name)} is not known; known are "
                        + string.Join(", ", ClientDraft.Members));
                }
                else if (count > 1)
                {
                    Fault(line, $"column {name} is given twice");
                }
            }
            foreach (string name in Needed.Except(_columns))
            {
                Fault(line, $"column {name} is missing");
            }
        }
        _badHeader = FaultCount > before;
    }

    /// <summary>An empty field is a member that is not given.</summary>
    private void ReadClient(int line)
    {
        var draft = new ClientDraft();
        foreach ((string member, string field) in _columns!.Zip(_fields))
        {
            if (field.Length > 0 && draft.TryBegin(member))
            {
                Set(draft, member, field);
            }
        }
        draft.Require(ClientDraft.ClientId);
        if (_columns!.Contains(ClientDraft.Limits) && !draft.IsGiven(ClientDraft.Limits))
        {
            draft.SetLimits([]);
        }
        draft.End(partial: false);
        Add(line, draft.Id, draft.Change, draft.Faults);
    }

    private static void Set(ClientDraft draft, string member, string field)
    {
        switch (member)
        {
            case ClientDraft.ClientId:
                draft.SetId(field);
                break;
            case ClientDraft.Plan:
                draft.SetPlan(field);
                break;
            case ClientDraft.Access:
                draft.SetAccess(field);
                break;
            case ClientDraft.Limits:
                draft.SetLimits(ClientFileText.ReadLimits(field, draft));
                break;
            default:
                SetNumber(draft, member, field);
                break;
        }
    }

    private static void SetNumber(ClientDraft draft, string member, string field)
    {
        const NumberStyles Style =
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (double.TryParse(field, Style, CultureInfo.InvariantCulture, out double number) && !double.IsNaN(number))
        {
            draft.Set(member, number);
        }
        else
        {
            draft.Fault(member, $"must be a number, not {Shown(field)}");
        }
    }

    /// <summary>The required columns: a file with plans or access needs none for numbers.</summary>
    private IEnumerable<string> Needed =>
        _columns!.Contains(ClientDraft.Plan) || _columns.Contains(ClientDraft.Access) ? Required[..1] : Required;

    private static string Shown(string text) =>
        text.Length <= MaxShownLength ? $"'{text}'" : $"'{text[..MaxShownLength]}…'";

    /// <returns>The fault of the row, or null.</returns>
    private static string? Split(string row, List<string> fields)
    {
        fields.Clear();
        using SepReader reader = Reader.FromText(row);
        reader.MoveNext();
        SepReader.Row read = reader.Current;
        for (int i = 0; i < read.ColCount; i++)
        {
            if (Unquote(read[i].Span, out string? field) is { } fault)
            {
                return fault;
            }

            fields.Add(field);
        }
        return read.Span.Length == row.Length ? null
            : "the line contains a carriage return that is not before its line feed";
    }

    /// <summary>Removes the quotes of a field and rejects quotes at other places, which the library accepts, but which
    /// two programs may read differently.</summary>
    /// <returns>The fault of the field, or null.</returns>
    private static string? Unquote(ReadOnlySpan<char> raw, out string field)
    {
        field = "";
        if (raw is not ['"', ..])
        {
            field = raw.ToString();
            return raw.Contains('"')
                ? "a field that contains a quote must be in quotes, with the quote written twice" : null;
        }
        for (int at = 1; ; at += 2)
        {
            int quote = raw[at..].IndexOf('"');
            if (quote < 0)
            {
                return "a quoted field does not end";
            }

            at += quote;
            if (at + 1 == raw.Length)
            {
                break;
            }

            if (raw[at + 1] != '"')
            {
                return "text follows the quote that ends a field; a quote within a field must be written twice";
            }
        }
        field = raw[1..^1].ToString().Replace("\"\"", "\"", StringComparison.Ordinal);
        return null;
    }
}
