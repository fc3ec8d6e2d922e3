using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>A text of an entry; see <see cref="AccessEntry"/> for how long it is valid.</summary>
internal delegate ReadOnlySpan<byte> AccessText(in AccessEntry entry);

/// <summary>A number of an entry.</summary>
internal delegate long AccessNumber(in AccessEntry entry);

/// <summary>A value of the access log: a member of a JSON line, and a variable of a template. Immutable,
/// thread-safe.</summary>
internal sealed class AccessVariable
{
    /// <summary>Bytes of the longest number, with the decimals of milliseconds.</summary>
    private const int MaxNumberBytes = 24;

    /// <summary>Bytes of the longest escape of one byte: <c>\u00ff</c>.</summary>
    private const int MaxEscapedPerByte = 6;

    private readonly AccessText? _text;
    private readonly AccessNumber? _number;
    private readonly Form _form;

    /// <summary>A text.</summary>
    /// <param name="meaning">What it says, in Markdown, for docs/operating.md.</param>
    /// <param name="maxTextBytes">Longer texts are shortened.</param>
    public AccessVariable(string name, string meaning, int maxTextBytes, AccessText text)
        : this(name, meaning)
    {
        _text = text;
        MaxTextBytes = maxTextBytes;
        MaxBytes = (maxTextBytes * MaxEscapedPerByte) + 2; // 2: the quotes in JSON
    }

    /// <summary>A number; negative: there is none.</summary>
    public AccessVariable(string name, string meaning, Form form, AccessNumber number)
        : this(name, meaning)
    {
        (_form, _number) = (form, number);
        MaxBytes = MaxNumberBytes;
    }

    private AccessVariable(string name, string meaning) => (Name, Meaning) = (name, meaning);

    /// <summary>How a number is written.</summary>
    public enum Form : byte
    {
        Whole,

        /// <summary>Nanoseconds, as milliseconds with three decimals.</summary>
        Milliseconds,

        /// <summary>In a template always a status of three digits.</summary>
        Status,

        /// <summary>1 is true.</summary>
        Flag,
    }

    public string Name { get; }
    public string Meaning { get; }

    /// <summary>JSON lines leave the member out when there is no value.</summary>
    public bool IsOptional { get; init; }

    /// <summary>Only templates have it; JSON lines do not.</summary>
    public bool OnlyInTemplates { get; init; }

    /// <summary>Maximum number of bytes that its value adds to a line.</summary>
    public int MaxBytes { get; }

    private int MaxTextBytes { get; }

    /// <summary>Adds the member of a JSON line, if there is a value.</summary>
    /// <param name="name">The text before the value.</param>
    public void AddMember(ref HeadWriter line, byte[] name, in AccessEntry entry)
    {
        if (_text is null)
        {
            long number = _number!(entry);
            if (number >= 0)
            {
                line.Add(name);
                AddNumber(ref line, number);
            }
            return;
        }
        ReadOnlySpan<byte> text = TextOf(entry);
        if (!IsOptional || !text.IsEmpty)
        {
            line.Add(name);
            JsonText.AddString(ref line, text);
        }
    }

    /// <summary>Adds the value to a line of text; a hyphen if there is none.</summary>
    public void AddPlain(ref HeadWriter line, in AccessEntry entry)
    {
        if (_text is null)
        {
            long number = _number!(entry);
            if (number >= 0)
            {
                AddNumber(ref line, _form == Form.Status ? AccessEntry.Selected((int)number) : number);
                return;
            }
        }
        else if (TextOf(entry) is { IsEmpty: false } text)
        {
            PlainText.AddEscaped(ref line, text);
            return;
        }
        line.Add("-"u8);
    }

    private ReadOnlySpan<byte> TextOf(in AccessEntry entry)
    {
        ReadOnlySpan<byte> text = _text!(entry);
        return text.Length <= MaxTextBytes ? text : text[..MaxTextBytes];
    }

    private void AddNumber(ref HeadWriter line, long number)
    {
        switch (_form)
        {
            case Form.Milliseconds:
                AddMilliseconds(ref line, number);
                break;
            case Form.Flag:
                line.Add("true"u8);
                break;
            default:
                line.Add(number);
                break;
        }
    }

    private static void AddMilliseconds(ref HeadWriter line, long ns)
    {
        (long whole, long rest) = Math.DivRem((ns + 500) / 1000, 1000);
        line.Add(whole);
        line.Add([(byte)'.', (byte)('0' + (rest / 100)), (byte)('0' + (rest / 10 % 10)), (byte)('0' + (rest % 10))]);
    }
}
