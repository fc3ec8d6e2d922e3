using System.Globalization;
using System.Text;
using nietras.SeparatedValues;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>CSV (RFC 4180, read strictly): one client per row, after a header line with the names of the columns. The
/// library gets one row at a time, so that a fault affects only its own line and is reported with that line.</summary>
internal sealed class CsvRows : ClientRows
{
    public const string ClientId = "client_id";
    public const string Capacity = "capacity";
    public const string RatePerSecond = "rate_per_sec";
    public const string CurrentTokens = "current_tokens";
    public const string Plan = "plan";
    public const string Access = "access";
    public const string Limits = "limits";

    private const int MaxShownLength = 40;
    private static readonly string[] Known =
        [ClientId, Capacity, RatePerSecond, CurrentTokens, Plan, Access, Limits];
    private static readonly string[] Required = [ClientId, Capacity, RatePerSecond];

    private static readonly SepReaderOptions Reader =
        Sep.New(',').Reader(static reader => reader with { HasHeader = false, DisableColCountCheck = true });

    private readonly List<string> _fields = [];
    private readonly List<FieldFault> _rowFaults = [];
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
            Fault(line, $"has {_fields.Count} fields, but the header line has {_columns.Count}");
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

    private static string MissingHeader => "the header line is missing: it must name the columns, separated by commas: "
        + $"{string.Join(", ", Required)}; optional: {string.Join(", ", Known.Except(Required))}";

    private void ReadHeader(int line, string? fault)
    {
        _columns = [.. _fields];
        int before = FaultCount;
        if (fault is not null)
        {
            Fault(line, fault);
        }
        else if (!_columns.Exists(Known.Contains))
        {
            Fault(line, MissingHeader);
        }
        else
        {
            foreach ((string? name, int count) in _columns.CountBy(static name => name))
            {
                if (!Known.Contains(name))
                {
                    Fault(line, $"column {Shown(name)} is not known; known are {string.Join(", ", Known)}");
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

    private void ReadClient(int line)
    {
        (string clientId, ClientChange change) = ("", new ClientChange());
        _rowFaults.Clear();
        for (int i = 0; i < _fields.Count; i++)
        {
            string field = _fields[i];
            switch (_columns![i])
            {
                case ClientId when Proxy.Clients.ClientId.Fault(field) is { } fault:
                    _rowFaults.Add(new(ClientId, field.Length == 0 ? "is required" : fault));
                    break;
                case ClientId:
                    clientId = field;
                    break;
                case Plan when field.Length > 0:
                    change = change with { Plan = field };
                    break;
                case Access when TermsText.TryAccess(field, out ClientAccess access):
                    change = change with { Access = access };
                    break;
                case Access when field.Length > 0:
                    _rowFaults.Add(new(Access, $"must be one of limited, blocked, exempt, not {Shown(field)}"));
                    break;
                case Limits:
                    change = change with { Limits = ClientFileText.ReadLimits(field, _rowFaults) };
                    break;
                case Capacity when Number(Capacity, field) is { } capacity:
                    if (double.IsInteger(capacity))
                    {
                        change = change with { Capacity = (long)capacity };
                    }
                    else
                    {
                        _rowFaults.Add(new(Capacity, "must be a whole number"));
                    }

                    break;
                case RatePerSecond when Number(RatePerSecond, field) is { } rate:
                    change = change with { RatePerSecond = rate };
                    break;
                case CurrentTokens when field.Length > 0 && Number(CurrentTokens, field) is { } tokens:
                    change = change with { Tokens = tokens };
                    break;
            }
        }
        if (change.Plan is null && (change.Access is null or ClientAccess.Limited || change.NamesNumbers))
        {
            if (!Has(Capacity))
            {
                _rowFaults.Add(new(Capacity, "is required"));
            }

            if (!Has(RatePerSecond))
            {
                _rowFaults.Add(new(RatePerSecond, "is required"));
            }
        }
        Add(line, clientId, change, _rowFaults.Concat(change.Faults()));
    }

    /// <summary>The required columns: a file with plans or access needs none for numbers.</summary>
    private IEnumerable<string> Needed => _columns!.Contains(Plan) || _columns.Contains(Access) ? [ClientId] : Required;

    private bool Has(string column) => _columns!.IndexOf(column) is >= 0 and var at && _fields[at].Length > 0;

    private double? Number(string column, string field)
    {
        const NumberStyles Style =
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (field.Length == 0)
        {
            return null;
        }

        if (!double.TryParse(field, Style, CultureInfo.InvariantCulture, out double number) || double.IsNaN(number))
        {
            _rowFaults.Add(new(column, $"must be a number, not {Shown(field)}"));
        }
        else if (double.IsInfinity(number))
        {
            _rowFaults.Add(new(column, "is too large"));
        }
        else
        {
            return number;
        }

        return null;
    }

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
