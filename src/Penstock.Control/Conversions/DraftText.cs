using System.Text;
using System.Text.RegularExpressions;

namespace Penstock.Control.Conversions;

/// <summary>Writes a configuration as YAML, in the style of the documents: mappings without mappings in them on one
/// line.</summary>
internal static partial class DraftText
{
    private const int MaxFlowColumns = 100;

    private static readonly string[] AlwaysBlocks = ["upstreams", "limits"];

    public static string Write(DraftMap root)
    {
        var text = new StringBuilder();
        foreach ((string key, object value) in root.Entries)
        {
            Write(text, key, value, "", AlwaysBlocks.Contains(key));
        }
        return text.ToString();
    }

    /// <summary>The value on one line; equal values have equal lines.</summary>
    public static string Line(DraftMap map) => Flow(map);

    private static void Write(StringBuilder text, string key, object value, string indent, bool block)
    {
        text.Append(indent).Append(Scalar(key)).Append(':');
        switch (value)
        {
            case DraftMap map when block || map.Entries.Any(static entry => entry.Value is not string):
                text.Append('\n');
                foreach ((string inner, object item) in map.Entries)
                {
                    Write(text, inner, item, indent + "  ", block: false);
                }
                break;
            case List<object> list when list.Exists(static item => item is not string) || list.Count > 3:
                text.Append('\n');
                foreach (object item in list)
                {
                    WriteItem(text, item, indent);
                }
                break;
            default:
                text.Append(' ').Append(Flow(value)).Append('\n');
                break;
        }
    }

    private static void WriteItem(StringBuilder text, object item, string indent)
    {
        string flow = Flow(item);
        if (item is not DraftMap map || flow.Length <= MaxFlowColumns)
        {
            text.Append(indent).Append("  - ").Append(flow).Append('\n');
            return;
        }
        string mark = "  - ";
        foreach ((string key, object value) in map.Entries)
        {
            text.Append(indent).Append(mark).Append(Scalar(key)).Append(": ").Append(Flow(value)).Append('\n');
            mark = "    ";
        }
    }

    private static string Flow(object value) => value switch
    {
        DraftMap { IsEmpty: true } => "{}",
        DraftMap map => "{ " + string.Join(", ", map.Entries.Select(static entry =>
            $"{Scalar(entry.Key)}: {Flow(entry.Value)}")) + " }",
        List<object> list => $"[{string.Join(", ", list.Select(Flow))}]",
        _ => Scalar((string)value),
    };

    private static string Scalar(string text)
    {
        if (Plain().IsMatch(text))
        {
            return text;
        }
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                _ when char.IsControl(c) => quoted.Append($"\\u{(int)c:x4}"),
                _ => quoted.Append(c),
            };
        }
        return quoted.Append('"').ToString();
    }

    /// <summary>A text that YAML reads as itself also within brackets.</summary>
    [GeneratedRegex(@"^[A-Za-z0-9_/.][A-Za-z0-9_/.+-]*(:[A-Za-z0-9_/.+-]+)*\*?$", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Plain();
}
