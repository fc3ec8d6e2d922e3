namespace Penstock.Proxy.Configuration;

/// <summary>What Penstock's own answers with some statuses look like. Of several entries that hold for a status the one
/// for fewer statuses wins: its body, and field by field.</summary>
/// <param name="FirstStatus">From 400.</param>
/// <param name="LastStatus">To 599.</param>
public sealed record AnswerConfig(int FirstStatus, int LastStatus)
{
    /// <summary>Fields besides, or instead of, those that such an answer has; values may have placeholders, see
    /// <see cref="AnswerRules"/>. One whose placeholders leave nothing is not sent.</summary>
    /// <value>Key <c>error.headers</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Fields { get; init; } = [];

    /// <summary>The body, with placeholders; null: as for more statuses, or else JSON of our own.</summary>
    /// <value>Key <c>error.body</c>: text; default: <c>{"code":429,"message":"Rate limit exceeded", …}</c>.</value>
    public string? Body { get; init; }

    /// <summary>Of <see cref="Body"/>; it also says how what a client sent is escaped in there.</summary>
    /// <value>Key <c>error.content_type</c>: content type; default: from the file's name (<c>.html</c>, <c>.json</c>,
    /// <c>.xml</c>) or the first character (<c>&lt;</c>, <c>{</c>, <c>[</c>), otherwise plain text.</value>
    public string ContentType { get; init; } = "text/plain; charset=utf-8";
}
