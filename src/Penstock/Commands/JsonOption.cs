using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Penstock.Commands;

/// <summary><c>--json</c>: the output is JSON. Commands that had <c>--format text|json</c> before accept that too;
/// their help does not show it.</summary>
internal sealed class JsonOption : Option<bool>
{
    private static readonly JsonSerializerOptions Written = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // for a terminal or jq, never for a page
    };

    public JsonOption() : base("--json")
    {
        Description = "Print JSON instead of text";
        Format.Hidden = true;
    }

    /// <summary>The older spelling.</summary>
    public Option<string> Format { get; } = OptionSyntax.OneOf("--format", "The output format", "text", "json");

    public bool IsIn(ParseResult parse) => parse.GetValue(this) || parse.GetValue(Format) == "json";

    public static string Text(JsonNode? node) => node?.ToJsonString(Written) ?? "null";
}
