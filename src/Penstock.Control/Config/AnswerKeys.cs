using System.Globalization;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys for the format of Penstock's own answers.</summary>
internal static class AnswerKeys
{
    private static readonly Syntax<string> ContentType = new(static (string text, out string value, out string error) =>
    {
        value = text;
        error = text.Length > 0 && text.All(static c => c is >= ' ' and <= '~') ? ""
            : $"{Quote(text)} is not a content type; write one such as text/html";
        return error.Length == 0;
    })
    {
        Schema = SchemaPart.String,
        Text = "content type",
        Samples = ["text/html", "application/json"],
    };

    private static readonly Keys<AnswerConfig> Table =
        new Keys<AnswerConfig>("error", new(0, 0))
            .Key("headers", RouteKeys.Fields(TryText, FieldNamed), static _ => [],
                (answer, v) => answer with { Fields = [.. v.SelectMany(static f => f.Value)] },
                "Header fields in addition to the usual ones, or instead of `Retry-After`. "
                    + "[Placeholders](#placeholders) are replaced; a field that is then empty is not sent.", "Fields")
            .DefaultText("none")
            .Then(static (section, answer) =>
            {
                if (answer.Fields.Sum(static f => f.Name.Length + f.Value.Length + 4) > AnswerRules.MaxFieldsBytes / 2)
                {
                    section["headers"]!.Error($"more than {AnswerRules.MaxFieldsBytes / 2} bytes of header fields");
                }
            })
            .Custom("body", Text, static (section, answer) => section["file"] is not null ? answer
                : answer with { Body = section["body"]?.Parse<string>(TryText) },
                "The body; placeholders are replaced.", "Body")
            .DefaultText("`{\"code\":429,\"message\":\"Rate limit exceeded\", …}`")
            .Custom("file", Text, ReadFile, "A file with the body; its path is relative to the folder of the "
                + "configuration. Penstock reads it at start and at each reload.")
            .Custom("content_type", ContentType, static (section, answer) => answer with
            {
                ContentType = section["content_type"] is { } field
                    ? field.Parse(ContentType.Parse, TypeOf(section, answer.Body))
                    : TypeOf(section, answer.Body),
            }, "The content type of the body. It decides how placeholders are escaped.", "ContentType")
            .DefaultText("from the file's name (`.html`, `.json`, `.xml`) or the first character (`<`, `{`, `[`), "
                + "otherwise plain text")
            .Finally(CheckBody);

    /// <summary>The answers by status.</summary>
    public static readonly NamedShape<AnswerConfig?> Answers = new(static field => field.Section(section =>
    {
        AnswerConfig answer = Table.Read(section, Table.Default);
        return StatusesOf(field.Name) is not var (first, last) ? null
            : answer with { FirstStatus = first, LastStatus = last };
    }))
    {
        Name = TryStatus,
        Check = static answers => Repeated.Report("status", answers.Select(
            static answer => (answer.At, (string?)answer.At.Name)), static name => name),
        Schema = """
            { "type": ["object", "null"],
              "propertyNames": { "pattern": "^([45][0-9][0-9]|[45][xX][xX]|[aA][nN][yY]|<<)$" },
              "additionalProperties": { "$ref": "#/definitions/error" } }
            """,
        Text = "`STATUS: { … }`",
        Samples = ["{ 429: { body: a } }", "{ 5xx: { body: b } }", "{ any: { headers: { X-A: a } } }"],
        Tables = [Table],
    };

    /// <summary><c>429</c>, <c>5xx</c> or <c>any</c>.</summary>
    private static bool TryStatus(string text, out string status, out string error)
    {
        status = text;
        error = StatusesOf(text) is null ? $"{Quote(text)} is not an error status; write 429, 5xx or any" : "";
        return error.Length == 0;
    }

    private static (int First, int Last)? StatusesOf(string text) => text.ToLowerInvariant() switch
    {
        "any" => (400, 599),
        "4xx" => (400, 499),
        "5xx" => (500, 599),
        _ => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int status)
            && text.Length == 3 && status is >= 400 and <= 599 ? (status, status) : null,
    };

    private static bool TryText(string text, out string value, out string error) =>
        Text.Parse(text, out value, out error);

    private static Parser<HeaderField> FieldNamed(string name) =>
        (string text, out HeaderField field, out string error) =>
        {
            field = new(name, text);
            error = AnswerRules.FieldFault(name, text) is { } fault ? $"{Quote(text)}: {fault}" : "";
            return error.Length == 0;
        };

    /// <summary>Reads the body from a file, whose path is relative to the folder of the configuration.</summary>
    private static AnswerConfig ReadFile(Section section, AnswerConfig answer)
    {
        if (section["file"] is not { } file)
        {
            return answer;
        }
        if (section.Has("body"))
        {
            file.Error("'file' and 'body' cannot both be given", "remove one of them");
        }
        if (file.Parse<string>(TryText) is not { Length: > 0 } path)
        {
            return answer;
        }
        string full = FileReader.Beside(file.Location.File.Name, path);
        if (FileReader.Read(full, file.Report, out string fault, AnswerRules.MaxBodyBytes) is { } bytes)
        {
            return answer with { Body = Encoding.UTF8.GetString(bytes) };
        }
        file.Error($"cannot read {Quote(path)}: {fault}", FileReader.Hint(path));
        return answer;
    }

    /// <summary>The content type by the file's name, or by the first character of the text.</summary>
    private static string TypeOf(Section section, string? body)
    {
        if (body is null)
        {
            return "";
        }
        string end = section["file"]?.Parse<string>(TryText) is { } file
            ? Path.GetExtension(file).ToLowerInvariant() : "";
        return (end, body.TrimStart().FirstOrDefault()) switch
        {
            (".json", _) or ("", '{' or '[') => "application/json",
            (".html" or ".htm", _) or ("", '<') => "text/html; charset=utf-8",
            (".xml", _) => "application/xml",
            _ => "text/plain; charset=utf-8",
        };
    }

    private static void CheckBody(Section section, AnswerConfig answer)
    {
        ConfigField? at = section["file"] ?? section["body"];
        if (at is null)
        {
            section["content_type"]?.Error("'content_type' needs 'body' or 'file'",
                "add one of them, or remove content_type");
        }
        if (at is not null && answer.Body is { } body && section.Sound
            && AnswerRules.BodyFault(body, answer.ContentType) is { } fault)
        {
            at.Reject($"{at.Name}: {fault}");
        }
    }
}
