using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>How lines of the access log look, compiled once. Writing a line allocates nothing. Immutable,
/// thread-safe.</summary>
internal abstract class AccessFormat
{
    /// <summary>Apache's and nginx's format of that name. The user is always unknown, because names in Authorization
    /// may be credentials.</summary>
    public const string Combined =
        "$client_address - - [$time_common] \"$request\" $status $bytes_out \"$referer\" \"$user_agent\"";

    /// <summary>Every line fits into this.</summary>
    public int MaxBytes { get; protected init; }

    /// <summary>Adds the line with its end.</summary>
    public abstract void Write(ref HeadWriter line, in AccessEntry entry);

    /// <param name="config">Valid, see <see cref="AccessLogRules"/>.</param>
    public static AccessFormat Of(AccessLogConfig config) => config.Format switch
    {
        null when config.To.Kind == AccessLogKind.Stdout && config.Terminal != TerminalLines.None =>
            new TerminalFormat(config.Terminal == TerminalLines.Coloured),
        null or AccessLogRules.Json => new JsonFormat(),
        AccessLogRules.Combined => new TemplateFormat(Combined),
        string template => new TemplateFormat(template),
    };
}

/// <summary>One JSON object per line, with all values that are known.</summary>
internal sealed class JsonFormat : AccessFormat
{
    /// <summary>The first member always has a value, so the brace before it is part of its name.</summary>
    private static readonly (byte[] Name, AccessVariable Variable)[] Members =
    [
        .. AccessVariables.All.Where(static variable => !variable.OnlyInTemplates).Select(static (variable, i) =>
            (Encoding.ASCII.GetBytes($"{(i == 0 ? '{' : ',')}\"{variable.Name}\":"), variable)),
    ];

    public JsonFormat() => MaxBytes = Members.Sum(static m => m.Name.Length + m.Variable.MaxBytes) + 2;

    public override void Write(ref HeadWriter line, in AccessEntry entry)
    {
        foreach ((byte[] name, AccessVariable variable) in Members)
        {
            variable.AddMember(ref line, name, entry);
        }
        line.Add("}\n"u8);
    }
}

/// <summary>Text in which <c>$name</c> stands for a value. A dollar sign that no letter follows stands for
/// itself.</summary>
internal sealed class TemplateFormat : AccessFormat
{
    private readonly (byte[] Before, AccessVariable? Variable)[] _parts;

    public TemplateFormat(string template)
    {
        _parts = [.. Split(template).Select(static part => (Encoding.UTF8.GetBytes(part.Before), Find(part.Name)))];
        MaxBytes = _parts.Sum(static part => part.Before.Length + (part.Variable?.MaxBytes ?? 0)) + 1;
    }

    /// <summary>The names of variables in a template, each with the text before it; the last has no name.</summary>
    public static IEnumerable<(string Before, string? Name)> Split(string template)
    {
        int from = 0;
        for (int at = template.IndexOf('$', StringComparison.Ordinal); at >= 0; at = template.IndexOf('$', at + 1))
        {
            int end = at + 1;
            while (end < template.Length && (char.IsAsciiLetter(template[end])
                || (end > at + 1 && (template[end] == '_' || char.IsAsciiDigit(template[end])))))
            {
                end++;
            }
            if (end > at + 1)
            {
                yield return (template[from..at], template[(at + 1)..end]);
                from = end;
            }
        }
        yield return (template[from..], null);
    }

    public override void Write(ref HeadWriter line, in AccessEntry entry)
    {
        Add(ref line, entry);
        line.Add("\n"u8);
    }

    /// <summary>Adds the text without the end of the line.</summary>
    public void Add(ref HeadWriter line, in AccessEntry entry)
    {
        foreach ((byte[] before, AccessVariable? variable) in _parts)
        {
            line.Add(before);
            variable?.AddPlain(ref line, entry);
        }
    }

    private static AccessVariable? Find(string? name) =>
        Array.Find(AccessVariables.All, variable => string.Equals(variable.Name, name, StringComparison.Ordinal));
}

/// <summary>A line for a person: <c>04:05:06 200 GET /path 192.0.2.9 -> 127.0.0.1:9001 1.500 ms</c>, and the reason if
/// the request did not end well.</summary>
internal sealed class TerminalFormat : AccessFormat
{
    private const int MaxColourBytes = 64;

    private static readonly TemplateFormat Request = new("$method $path ");
    private static readonly TemplateFormat Client = new("$client");

    /// <summary>Instead of the client, if the request was not understood.</summary>
    private static readonly TemplateFormat Address = new("$client_address");
    private static readonly TemplateFormat Backend = new(" -> $backend");
    private static readonly TemplateFormat Duration = new(" $duration_ms ms");
    private static readonly TemplateFormat Reason = new(" $reason");
    private static readonly TemplateFormat Fault = new(" $fault");

    private readonly bool _colours;

    /// <param name="colours">False: the terminal or its user wants none.</param>
    public TerminalFormat(bool colours)
    {
        _colours = colours;
        MaxBytes = MaxColourBytes
            + new[] { Request, Client, Address, Backend, Duration, Reason, Fault }.Sum(static part => part.MaxBytes);
    }

    public override void Write(ref HeadWriter line, in AccessEntry entry)
    {
        int status = AccessEntry.Selected(entry.Exchange.Status);
        ReadOnlySpan<byte> colour = status switch
        {
            >= 500 => "\e[31m"u8,
            >= 400 => "\e[33m"u8,
            >= 300 => "\e[36m"u8,
            _ => "\e[32m"u8,
        };
        Colour(ref line, "\e[2m"u8);
        line.Add(entry.ClockTime());
        Colour(ref line, "\e[0m"u8);
        line.Add(" "u8);
        Colour(ref line, colour);
        line.Add(status);
        Colour(ref line, "\e[0m"u8);
        line.Add(" "u8);
        Request.Add(ref line, entry);
        (entry.Exchange.ClientName.IsEmpty ? Address : Client).Add(ref line, entry);
        if (entry.Exchange.Backend is not null)
        {
            Backend.Add(ref line, entry);
        }
        Duration.Add(ref line, entry);
        if (entry.Exchange.Outcome != Outcome.Ok)
        {
            Colour(ref line, colour);
            Reason.Add(ref line, entry);
            if (entry.Exchange.Fault != HttpFault.None)
            {
                Fault.Add(ref line, entry);
            }
            Colour(ref line, "\e[0m"u8);
        }
        line.Add("\n"u8);
    }

    private void Colour(ref HeadWriter line, ReadOnlySpan<byte> code)
    {
        if (_colours)
        {
            line.Add(code);
        }
    }
}
