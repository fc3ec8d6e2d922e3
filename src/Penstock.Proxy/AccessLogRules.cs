using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy;

/// <summary>Checks of <see cref="Configuration.AccessLogConfig.Format"/> for the configuration reader. Pure.</summary>
public static class AccessLogRules
{
    /// <summary>The format with one JSON object per line.</summary>
    public const string Json = "json";

    /// <summary>The format of Apache and nginx with that name.</summary>
    public const string Combined = "combined";

    /// <summary>Maximum length of a line, in bytes.</summary>
    public const int MaxLineBytes = AccessLogWriter.BatchBytes;

    /// <summary>The names that stand behind a dollar sign in a template.</summary>
    public static IReadOnlyList<string> Variables { get; } = [.. AccessVariables.All.Select(static v => v.Name)];

    /// <summary>The first name in a template that is no variable; null: there is none.</summary>
    public static string? UnknownVariable(string template) => TemplateFormat.Split(template)
        .Select(static part => part.Name).FirstOrDefault(static name => name is not null && !Variables.Contains(name));

    /// <summary>Maximum length of a line by this template, whose variables are all known, in bytes.</summary>
    public static int MaxBytes(string template) => new TemplateFormat(template).MaxBytes;
}
