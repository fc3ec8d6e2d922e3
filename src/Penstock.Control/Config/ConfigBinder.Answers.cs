using System.Globalization;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>What Penstock's own answers look like.</content>
internal static partial class ConfigBinder
{
    private static List<AnswerConfig> Answers(Field? errors)
    {
        var named = errors?.Named(TryAnswerStatus) ?? [];
        ReportRepeated("status", named.Select(static field => (field, field.Name)), static name => name);
        return [.. named.Select(static field => field.Section(answer => Answer(field.Name, answer)))
            .OfType<AnswerConfig>()];
    }

    /// <summary><c>429</c>, <c>5xx</c> or <c>any</c>.</summary>
    private static bool TryAnswerStatus(string text, out string status, out string error)
    {
        status = text;
        error = StatusesOf(text) is null ? $"{Quote(text)} is not a status of an error; write 429, 5xx or any" : "";
        return error.Length == 0;
    }

    private static (int First, int Last)? StatusesOf(string text) => text.ToLowerInvariant() switch
    {
        "any" => (400, 599),
        "4xx" => (400, 499),
        "5xx" => (500, 599),
        _ => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var status)
            && text.Length == 3 && status is >= 400 and <= 599 ? (status, status) : null,
    };

    private static AnswerConfig? Answer(string name, Section answer)
    {
        var fields = (answer["headers"]?.Named(TryText) ?? []).SelectMany(static entry => entry.Items().Select(
            item => item.Parse(AnswerField(entry.Name)))).OfType<HeaderField>().ToList();
        if (fields.Sum(static f => f.Name.Length + f.Value.Length + 4) > AnswerRules.MaxFieldsBytes / 2)
            answer["headers"]!.Error($"more than {AnswerRules.MaxFieldsBytes / 2} bytes of header fields");
        var (body, at) = Body(answer);
        var type = answer.Value("content_type", HeaderText, body is null ? "" : ContentTypeOf(answer, body));
        if (answer["content_type"] is { } useless && at is null)
            useless.Error("'content_type' is for a body of your own", "add body or file, or remove it");
        if (body is not null && answer.Sound && AnswerRules.BodyFault(body, type) is { } fault)
            at!.Refuse($"{at.Name}: {fault}");
        return StatusesOf(name) is not var (first, last) ? null
            : new(first, last) { Fields = fields, Body = body, ContentType = type };
    }

    private static (string? Text, Field? At) Body(Section answer)
    {
        var (body, file) = (answer["body"], answer["file"]);
        if (body is not null && file is not null)
            file.Error("'file' and 'body' exclude each other", "remove one of them");
        if (file is null)
            return (body?.Parse<string>(TryText), body);
        if (file.Parse<string>(TryText) is not { Length: > 0 } path)
            return (null, file);
        try
        {
            // Beside the configuration, of which it is a part.
            var full = Path.GetFullPath(path, Path.GetDirectoryName(Path.GetFullPath(file.Report.File))!);
            using var stream = File.OpenRead(full);
            var room = new byte[AnswerRules.MaxBodyBytes + 1];
            var length = stream.ReadAtLeast(room, room.Length, throwOnEndOfStream: false); // a device has no end
            if (length < room.Length)
                return (Encoding.UTF8.GetString(room, 0, length), file);
            file.Error($"{Quote(path)} has more than {AnswerRules.MaxBodyCharacters} characters");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException
            or NotSupportedException)
        {
            file.Error($"cannot read {Quote(path)}: {fault.Message}",
                "a path that does not begin with / is relative to the configuration's folder");
        }
        return (null, file);
    }

    /// <summary>By the file's name, or by how the text begins.</summary>
    private static string ContentTypeOf(Section answer, string body)
    {
        var end = answer["file"]?.Parse<string>(TryText) is { } file ? Path.GetExtension(file).ToLowerInvariant() : "";
        return (end, body.TrimStart().FirstOrDefault()) switch
        {
            (".json", _) or ("", '{' or '[') => "application/json",
            (".html" or ".htm", _) or ("", '<') => "text/html; charset=utf-8",
            (".xml", _) => "application/xml",
            _ => "text/plain; charset=utf-8",
        };
    }

    private static Parser<HeaderField> AnswerField(string name) =>
        (string text, out HeaderField field, out string error) =>
        {
            field = new(name, text);
            error = AnswerRules.FieldFault(name, text) is { } fault ? $"{Quote(text)}: {fault}" : "";
            return error.Length == 0;
        };

    private static bool HeaderText(string text, out string value, out string error)
    {
        value = text;
        error = text.Length > 0 && text.All(static c => c is >= ' ' and <= '~') ? ""
            : $"{Quote(text)} is not a content type; write one such as text/html";
        return error.Length == 0;
    }
}
