namespace Penstock.Control.Config;

/// <summary>The syntax of a value of the file: its JSON schema for editors, its description in the reference, and some
/// example values.</summary>
internal abstract class Shape
{
    /// <summary>JSON schema, draft 7; parts with a name are in <see cref="SchemaPart.All"/>.</summary>
    public required string Schema { get; init; }

    /// <summary>The description in the reference, in Markdown.</summary>
    public required string Text { get; init; }

    /// <summary>Example values, for tests and fuzzers. If only the syntax decides whether a value is valid, the first
    /// two are valid and differ, because a test changes every key with them.</summary>
    public IReadOnlyList<string> Samples { get; init; } = [];

    /// <summary>The tables of the mappings that such a value may contain.</summary>
    public IReadOnlyList<KeyTable> Tables { get; init; } = [];

    /// <summary>The shape of the items of a list; null: it is no list.</summary>
    public virtual Shape? Item => null;

    /// <summary>The keys of the mapping are names that the operator chooses.</summary>
    public virtual bool IsNamed => false;

    /// <summary>A single value means a mapping with the first key of its table.</summary>
    public virtual bool HasShortForm => false;

    /// <summary>One spelling for all spellings of the same value.</summary>
    public virtual string Canonical(string text) => text;
}

/// <summary>A shape and the method that reads a value of that shape.</summary>
internal abstract class Shape<T> : Shape
{
    /// <summary>Reads the value; a fault is added to the report.</summary>
    /// <param name="otherwise">The result for a value with a fault.</param>
    public abstract T Read(ConfigField field, T otherwise);

    /// <summary>A value in JSON; null if it has no short form.</summary>
    public virtual string? Print(T value) => null;
}

/// <summary>The syntax of a single value: how it is parsed, described and printed.</summary>
internal sealed class Syntax<T>(Parser<T> parse, Func<T, string?>? print = null) : Shape<T>
{
    public Parser<T> Parse => parse;

    public override T Read(ConfigField field, T otherwise) => field.Parse(parse, otherwise)!;

    public override string? Print(T value) => print?.Invoke(value);

    public override string Canonical(string text) =>
        parse(text, out T value, out _) && Print(value) is { } json ? json.Trim('"') : text;
}

/// <summary>Parts of the schema that other parts refer to.</summary>
/// <param name="Schema">JSON schema.</param>
internal sealed record SchemaPart(string Name, string Schema)
{
    public static readonly IReadOnlyList<SchemaPart> All =
    [
        new("variable", """
            { "description": "A value with ${NAME} or ${NAME:-default} from the environment.",
              "type": "string", "pattern": "\\$\\{" }
            """),
        new("address", """
            { "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer", "minimum": 0, "maximum": 65535 }] }
            """),
        new("name", """{ "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$" }"""),
        new("duration", """{ "type": "string", "pattern": "^([0-9.]+(ms|s|m|h)|.*\\$\\{.*)$" }"""),
        new("size", """
            { "anyOf": [{ "type": "integer", "minimum": 1 },
              { "type": "string", "pattern": "^([0-9.]+ ?([KkMmGg]([Ii][Bb])?|[Bb])?|.*\\$\\{.*)$" }] }
            """),
        new("scalar", """{ "type": ["string", "number", "boolean"] }"""),
        new("status_range", """
            { "anyOf": [{ "type": "integer", "minimum": 200, "maximum": 599 },
              { "type": "string", "pattern": "^([2-5][0-9][0-9](-[2-5][0-9][0-9])?|[2-5][xX][xX]|.*\\$\\{.*)$" }] }
            """),
    ];

    public const string Variable = """{ "$ref": "#/definitions/variable" }""";
    public const string Duration = """{ "$ref": "#/definitions/duration" }""";
    public const string Days = """{ "type": "string", "pattern": "^[0-9]+d$" }""";
    public const string Size = """{ "$ref": "#/definitions/size" }""";
    public const string Scalar = """{ "$ref": "#/definitions/scalar" }""";

    /// <summary>One of several.</summary>
    public static string AnyOf(params ReadOnlySpan<string> schemas) =>
        $$"""{ "anyOf": [{{string.Join(", ", schemas!)}}] }""";

    /// <summary>One of some words; in a schema those with <c>_</c> may also have <c>-</c>.</summary>
    public static string Words(params ReadOnlySpan<string> words)
    {
        List<string> all = [];
        foreach (string word in words)
        {
            all.Add(Quote(word));
            if (word.Contains('_', StringComparison.Ordinal))
            {
                all.Add(Quote(word.Replace('_', '-')));
            }
        }
        return $$"""{ "enum": [{{string.Join(", ", all)}}] }""";
    }

    /// <summary>A list that is not empty.</summary>
    public static string ListOf(Shape item) => $$"""{ "type": "array", "items": {{item.Schema}}, "minItems": 1 }""";

    public static string Whole(long from, long to) =>
        $$"""{ "type": "integer", "minimum": {{from}}, "maximum": {{to}} }""";

    /// <summary>Text that begins with a slash.</summary>
    public const string Path = """{ "type": "string", "pattern": "^/|\\$\\{" }""";

    public const string String = """{ "type": "string" }""";

    public static string Pattern(string pattern)
    {
        string escaped = pattern.Replace(@"\", @"\\", StringComparison.Ordinal);
        return $$"""{ "type": "string", "pattern": "^({{escaped}}|.*\\$\\{.*)$" }""";
    }

    public static string Quote(string text) => $"\"{text}\"";
}
