namespace Penstock.Proxy.Configuration;

/// <summary>Body and header fields of Penstock's own answers with some statuses. If several entries match a status, the
/// one for fewer statuses wins: for the body, and for each field.</summary>
/// <param name="FirstStatus">The first status, from 400.</param>
/// <param name="LastStatus">The last status, to 599.</param>
public sealed record AnswerConfig(int FirstStatus, int LastStatus)
{
    /// <summary>Fields that are added to such an answer or replace its fields. Values may have placeholders, see
    /// <see cref="AnswerRules"/>. A field that consists only of empty placeholders is not sent.</summary>
    /// <value>Key <c>error.headers</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Fields { get; init; } = [];

    /// <summary>The body, with placeholders; null: that of an entry for more statuses, else Penstock's JSON
    /// body.</summary>
    /// <value>Key <c>error.body</c>: text; default: <c>{"code":429,"message":"Rate limit exceeded", …}</c>.</value>
    public string? Body { get; init; }

    /// <summary>The type of <see cref="Body"/>. It also determines how the client's texts are escaped in the
    /// body.</summary>
    /// <value>Key <c>error.content_type</c>: content type; default: from the file's name (<c>.html</c>, <c>.json</c>,
    /// <c>.xml</c>) or the first character (<c>&lt;</c>, <c>{</c>, <c>[</c>), otherwise plain text.</value>
    public string ContentType { get; init; } = "text/plain; charset=utf-8";
}
