using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Routing;

namespace Penstock.Proxy;

/// <summary>Checks of <see cref="AnswerConfig"/> for the configuration reader. A fault is one line, "what is wrong;
/// what to write instead"; null means no fault. Pure.</summary>
public static class AnswerRules
{
    /// <summary>Characters of a body before placeholders are filled in.</summary>
    public const int MaxBodyCharacters = 32 * 1024;

    /// <summary>Bytes of a body after placeholders are filled in. It must fit into a loop's scratch memory.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    /// <summary>Bytes of a header field's value after placeholders are filled in.</summary>
    public const int MaxFieldsBytes = 16 * 1024;

    /// <summary>Names of the placeholders. In a text they are written <c>{{name}}</c>.</summary>
    public static IReadOnlyList<string> Placeholders => AnswerTemplate.Names;

    /// <summary>Checks the body of an answer with this content type.</summary>
    public static string? BodyFault(string body, string contentType) => body.Length > MaxBodyCharacters
        ? $"it has more than {MaxBodyCharacters} characters"
        : Fault(body, AnswerTemplate.EscapeFor(contentType), MaxBodyBytes);

    /// <summary>Checks a header field of an answer.</summary>
    public static string? FieldFault(string name, string value)
    {
        bool isContent = name.StartsWith("content-", StringComparison.OrdinalIgnoreCase);
        bool isLimit = name.StartsWith("x-ratelimit-", StringComparison.OrdinalIgnoreCase);
        return isContent ? "Penstock writes this field itself; write content_type beside body or file"
            : isLimit ? "Penstock writes this field itself; limit_fields turns it on or off"
            : RouteRules.HeaderNameFault(name, ofResponse: true, isSet: true)
                ?? RouteRules.HeaderValueFault(name, value)
                ?? Fault(value, AnswerEscape.Field, MaxFieldsBytes);
    }

    private static string? Fault(string text, AnswerEscape escape, int maxBytes)
    {
        string? fault = AnswerTemplate.Parse(text, escape, out AnswerTemplate template);
        return fault ?? (template.MaxBytes > maxBytes
            ? $"with its placeholders filled in it could have {template.MaxBytes} bytes, more than {maxBytes}" : null);
    }
}
