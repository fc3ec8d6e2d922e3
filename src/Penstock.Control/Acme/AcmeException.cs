namespace Penstock.Control.Acme;

/// <summary>A certificate could not be got. The message is one sentence for the operator: what failed, for which name
/// and in the CA's words; it has no secret.</summary>
internal sealed class AcmeException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Errors that stay until the operator changes something (RFC 8555 §6.7).</summary>
    private static readonly string[] OfOperator =
    [
        "externalAccountRequired", "invalidContact", "rejectedIdentifier", "unsupportedContact",
        "unsupportedIdentifier", "userActionRequired",
    ];

    /// <summary>The CA's type of the error, such as <c>rateLimited</c>; null: the CA did not answer with one.</summary>
    public string? Type { get; init; }

    /// <summary>The CA asks not to try again before this time has passed.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Another try fails in the same way until the operator changes something.</summary>
    public bool NeedsOperator => Type is not null && OfOperator.Contains(Type);

    /// <summary>One failure of several CAs, one after another.</summary>
    public static AcmeException Of(IReadOnlyList<AcmeException> causes) => causes is [var only] ? only
        : new(string.Join("; ", causes.Select(static cause => cause.Message)), causes[^1])
        {
            Type = causes.All(static cause => cause.NeedsOperator) ? causes[0].Type : null,
            RetryAfter = causes.Min(static cause => cause.RetryAfter ?? TimeSpan.Zero),
        };
}
