using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Penstock.Proxy.Http1;

/// <summary>A part of the buffer with a message head. Its position is relative to the head's first byte, so it stays
/// valid when the buffer is moved or grown.</summary>
internal readonly record struct Slice(int Start, int Length)
{
    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> head) => head.Slice(Start, Length);
}

[SuppressMessage("Performance", "CA1815", Justification = "Never compared.")]
internal readonly struct Field(FieldName known, Slice name, Slice value)
{
    public readonly FieldName Known = known;
    public readonly Slice Name = name;
    public readonly Slice Value = value;
}

internal enum ParseStatus : byte
{
    /// <summary>More bytes are needed. Nothing is consumed, and parsing continues where it stopped.</summary>
    Incomplete,
    Complete,

    /// <summary>See <see cref="MessageHead.Fault"/>. The connection cannot be used any further.</summary>
    Invalid,
}

/// <summary>How a message's body ends (RFC 9112 §6.3).</summary>
internal enum BodyFraming : byte
{
    /// <summary>No body: a request without length or coding, a response to HEAD, or a 1xx, 204 or 304.</summary>
    None,

    /// <summary>Content-Length bytes.</summary>
    Length,

    /// <summary>The chunked coding and no other.</summary>
    Chunked,

    /// <summary>A response without length: all bytes until the connection closes.</summary>
    UntilClose,
}

/// <summary>The largest head that is accepted.</summary>
/// <param name="LineBytes">Bytes of the request line.</param>
/// <param name="HeadBytes">Bytes of the whole head.</param>
/// <param name="Fields">Number of fields.</param>
internal sealed record HeadBounds(int LineBytes, int HeadBytes, int Fields)
{
    public static readonly HeadBounds Default = new(8 * 1024, 32 * 1024, 100);
}

/// <summary>The common part of request and response heads: field lines, parsed once, in place, incrementally. It stores
/// only offsets and does no I/O. It is strict on purpose; see docs/http.md. Reusable with <see cref="Reset"/>. Not
/// thread-safe.</summary>
internal abstract class MessageHead(HeadBounds bounds)
{
    private const int MaxFieldNameBytes = 256;

    /// <summary>Maximum number of bytes of Connection options. Every field is searched among them, so without a bound
    /// the cost of a head would be quadratic.</summary>
    private const int MaxConnectionBytes = 1024;

    private readonly Field[] _fields = new Field[bounds.Fields];
    private int _fieldCount;
    private int _lineStart;
    private int _scanned;
    private bool _sawStartLine;
    private int _connectionBytes;
    private int _codings;

    public HttpFault Fault { get; protected set; }

    /// <summary>Bytes of the head with its empty line, when it is complete.</summary>
    public int Length { get; private set; }
    public int MinorVersion { get; protected set; }
    public BodyFraming Framing { get; protected set; }

    /// <summary>The declared length, or -1.</summary>
    public long ContentLength { get; private set; } = -1;
    public bool SawTransferEncoding { get; private set; }
    public bool ConnectionClose { get; private set; }
    public bool ConnectionKeepAlive { get; private set; }
    public bool ConnectionUpgrade { get; private set; }

    /// <summary>The protocols of the Upgrade field; empty when there is none, or when one of them is h2c.</summary>
    public Slice Upgrade { get; private set; }

    public ReadOnlySpan<Field> Fields => _fields.AsSpan(0, _fieldCount);

    public virtual void Reset()
    {
        _fieldCount = _lineStart = _scanned = _codings = _connectionBytes = 0;
        _sawStartLine = false;
        Fault = HttpFault.None;
        Length = MinorVersion = 0;
        Framing = BodyFraming.None;
        ContentLength = -1;
        SawTransferEncoding = ConnectionClose = ConnectionKeepAlive = ConnectionUpgrade = false;
        Upgrade = default;
    }

    /// <summary>Continues to parse. <paramref name="bytes"/> must start at the head's first byte and may only have
    /// grown since the last call.</summary>
    public ParseStatus Parse(ReadOnlySpan<byte> bytes)
    {
        while (true)
        {
            int feed = bytes[_scanned..].IndexOf((byte)'\n');
            if (feed < 0)
            {
                _scanned = bytes.Length;
                return CheckUnfinished(bytes);
            }

            int end = _scanned + feed;
            if (end + 1 > bounds.HeadBytes)
            {
                return TooLong(bytes[..end]);
            }
            if (end == _lineStart || bytes[end - 1] != '\r')
            {
                return Unfinished(bytes[..end], HttpFault.BareLineFeed);
            }

            ReadOnlySpan<byte> line = bytes[_lineStart..(end - 1)];
            if (!_sawStartLine)
            {
                if (!ParseStartLine(line, _lineStart))
                {
                    return ParseStatus.Invalid;
                }
                _sawStartLine = true;
            }
            else if (line.IsEmpty)
            {
                Length = end + 1;
                return FinishFields() && Complete(bytes) ? ParseStatus.Complete : ParseStatus.Invalid;
            }
            else if (!ParseField(bytes, line))
            {
                return ParseStatus.Invalid;
            }
            _lineStart = _scanned = end + 1;
        }
    }

    /// <summary>The first field of this name, ignoring case; false when there is none.</summary>
    public bool TryGet(ReadOnlySpan<byte> head, ReadOnlySpan<byte> name, out Slice value)
    {
        foreach (ref readonly Field field in Fields)
        {
            if (field.Name.Length == name.Length && Ascii.EqualsIgnoreCase(field.Name.Of(head), name))
            {
                value = field.Value;
                return true;
            }
        }
        value = default;
        return false;
    }

    /// <summary>Whether the Connection field names this field, so that it is not forwarded (RFC 9110 §7.6.1).</summary>
    public bool IsNominated(ReadOnlySpan<byte> head, in Field field)
    {
        if (_connectionBytes == 0 || FieldNames.IsProtected(field.Known))
        {
            return false;
        }
        foreach (ref readonly Field candidate in Fields)
        {
            if (candidate.Known == FieldName.Connection
                && ListHas(candidate.Value.Of(head), field.Name.Of(head)))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Parses the start line, without its CRLF. Sets <see cref="Fault"/> and returns false when it is not
    /// valid.</summary>
    protected abstract bool ParseStartLine(ReadOnlySpan<byte> line, int at);

    /// <summary>Called when all lines are parsed, to check the fields together.</summary>
    protected abstract bool Complete(ReadOnlySpan<byte> head);

    /// <summary>Handles a field that only this kind of message knows.</summary>
    protected virtual bool OnField(FieldName known, ReadOnlySpan<byte> value, Slice at) => true;

    /// <summary>Checks a start line before its end has arrived.</summary>
    protected virtual HttpFault CheckUnfinishedStart(ReadOnlySpan<byte> line) => HttpFault.None;

    protected ParseStatus Invalid(HttpFault fault)
    {
        Fault = fault;
        return ParseStatus.Invalid;
    }

    protected bool Fail(HttpFault fault)
    {
        Fault = fault;
        return false;
    }

    /// <summary>Whether <paramref name="item"/> is one of the comma-separated tokens of a field value.</summary>
    protected static bool ListHas(ReadOnlySpan<byte> list, ReadOnlySpan<byte> item)
    {
        foreach (Range range in list.Split((byte)','))
        {
            if (Ascii.EqualsIgnoreCase(Grammar.TrimSpace(list[range]), item))
            {
                return true;
            }
        }
        return false;
    }

    private ParseStatus CheckUnfinished(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= bounds.HeadBytes ? TooLong(bytes) : Unfinished(bytes, HttpFault.None);

    private ParseStatus TooLong(ReadOnlySpan<byte> bytes) =>
        Unfinished(bytes, _sawStartLine ? HttpFault.HeadTooLarge : HttpFault.TargetTooLong);

    /// <summary>Rejects a line without a valid end. A fault at its start is reported first, so that the result never
    /// depends on how the bytes arrive.</summary>
    private ParseStatus Unfinished(ReadOnlySpan<byte> bytes, HttpFault fault)
    {
        if (!_sawStartLine && bytes.Length > 0 && CheckUnfinishedStart(bytes) is not HttpFault.None and var earlier)
        {
            fault = earlier;
        }
        return fault == HttpFault.None ? ParseStatus.Incomplete : Invalid(fault);
    }

    private bool ParseField(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> line)
    {
        if (line[0] is (byte)' ' or (byte)'\t')
        {
            return Fail(HttpFault.FoldedField);
        }

        int colon = line.IndexOf((byte)':');
        if (colon < 0)
        {
            return Fail(HttpFault.MissingColon);
        }

        ReadOnlySpan<byte> name = line[..colon];
        if (!Grammar.IsToken(name))
        {
            return Fail(colon > 0 && name[^1] is (byte)' ' or (byte)'\t'
                ? HttpFault.SpaceBeforeColon : HttpFault.BadFieldName);
        }
        if (name.Length > MaxFieldNameBytes)
        {
            return Fail(HttpFault.FieldNameTooLong);
        }

        int valueStart = colon + 1;
        int valueEnd = line.Length;
        while (valueStart < valueEnd && line[valueStart] is (byte)' ' or (byte)'\t')
        {
            valueStart++;
        }
        while (valueEnd > valueStart && line[valueEnd - 1] is (byte)' ' or (byte)'\t')
        {
            valueEnd--;
        }

        FieldName known = FieldNames.Of(name);
        ReadOnlySpan<byte> value = line[valueStart..valueEnd];
        if (value.ContainsAnyExcept(Grammar.FieldValue))
        {
            return Fail(known == FieldName.TransferEncoding
                ? HttpFault.TransferEncodingInvalid : HttpFault.BadFieldValue);
        }
        if (_fieldCount == _fields.Length)
        {
            return Fail(HttpFault.TooManyFields);
        }

        var at = new Slice(_lineStart + valueStart, value.Length);
        _fields[_fieldCount++] = new Field(known, new Slice(_lineStart, colon), at);
        return known == FieldName.Other || OnKnownField(known, value, at);
    }

    private bool OnKnownField(FieldName known, ReadOnlySpan<byte> value, Slice at)
    {
        switch (known)
        {
            case FieldName.ContentLength:
                // Only one field with plain digits is accepted. Two parsers may read a list, a sign or a second field,
                // even an equal one, differently (RFC 9112 §6.3 rule 5 allows rejecting them).
                if (ContentLength >= 0)
                {
                    return Fail(HttpFault.ContentLengthRepeated);
                }
                if (!TryReadDigits(value, out long length))
                {
                    return Fail(value.Contains((byte)',')
                        ? HttpFault.ContentLengthRepeated : HttpFault.ContentLengthInvalid);
                }
                ContentLength = length;
                return true;

            case FieldName.TransferEncoding:
                SawTransferEncoding = true;
                _codings++;
                if (_codings > 1 || value.IsEmpty || value.Contains((byte)','))
                {
                    return Fail(HttpFault.TransferEncodingInvalid);
                }
                return Ascii.EqualsIgnoreCase(value, "chunked"u8) || Fail(
                    Grammar.IsToken(value) ? HttpFault.TransferEncodingUnsupported
                    : HttpFault.TransferEncodingInvalid);

            case FieldName.Connection:
                _connectionBytes += value.Length;
                ConnectionClose |= ListHas(value, "close"u8);
                ConnectionKeepAlive |= ListHas(value, "keep-alive"u8);
                ConnectionUpgrade |= ListHas(value, "upgrade"u8);
                return _connectionBytes <= MaxConnectionBytes || Fail(HttpFault.HeadTooLarge);

            case FieldName.Upgrade:
                // HTTP/2 in a tunnel would let requests bypass routes and limits (RFC 9113 §3.1 has deprecated h2c).
                Upgrade = ListHas(value, "h2c"u8) ? default : at;
                return true;

            default:
                return OnField(known, value, at);
        }
    }

    private bool FinishFields() =>
        !SawTransferEncoding || ((ContentLength < 0 || Fail(HttpFault.TransferEncodingWithLength))
            && (MinorVersion > 0 || Fail(HttpFault.TransferEncodingOnHttp10)));

    protected static bool TryReadDigits(ReadOnlySpan<byte> value, out long number)
    {
        number = 0;
        if (value.IsEmpty || value.Length > 18 || (value.Length > 1 && value[0] == '0'))
        {
            return false;
        }
        foreach (byte b in value)
        {
            if (b is < (byte)'0' or > (byte)'9')
            {
                return false;
            }
            number = (number * 10) + (b - '0');
        }
        return true;
    }
}
