using System.Globalization;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of the access log.</summary>
internal static class AccessLogKeys
{
    private const int MaxOneOf = 1_000_000;

    /// <summary>See <see cref="TryFormat"/>.</summary>
    private static readonly Syntax<string?> Format = new(TryFormat)
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words(AccessLogRules.Json, AccessLogRules.Combined),
            """{ "type": "string", "pattern": "\\$" }"""),
        Text = "`json`, `combined`, or a template",
        Samples = [AccessLogRules.Combined, "'$client $status'"],
    };

    /// <summary>See <see cref="TrySample"/>.</summary>
    private static readonly Syntax<int> Sample = new(TrySample)
    {
        Schema = SchemaPart.Pattern("1 ?/ ?[0-9]+"),
        Text = "`1/100`",
        Samples = ["1/100", "1/7"],
    };

    private static readonly string[] Words = [AccessLogRules.Json, AccessLogRules.Combined];

    private static readonly Parser<string> FormatWord = OneOf([.. Words.Select(static word => (word, word))]).Parse;

    private static readonly Syntax<StatusRange> Statuses = StatusesFrom(100, SchemaPart.AnyOf(
        SchemaPart.Whole(100, 599), SchemaPart.Pattern("[1-5][0-9][0-9](-[1-5][0-9][0-9])?|[1-5][xX][xX]")));

    private static readonly Keys<AccessLogConfig> Only = new Keys<AccessLogConfig>("access_log_only", new())
        .Key("status", new ListShape<StatusRange>(Statuses), log => log.Statuses,
            (log, v) => log with { Statuses = [.. v] },
            "Requests with one of these statuses. A request whose client left before there was a status counts as 499.")
        .DefaultText("any")
        .Key("min_duration", DurationOrOff, log => log.MinDuration, (log, v) => log with { MinDuration = v },
            "Requests that took at least this long, whatever their status.");

    private static readonly NamedShape<int> Samples = new(static field => Sample.Read(field, 2))
    {
        Name = static (string text, out string name, out string error) =>
        {
            name = text;
            return Statuses.Parse(text, out _, out error);
        },
        Check = static samples => Repeated.Report("status", samples.Select(
            static sample => (sample.At, (string?)StatusesOf(sample.At).ToString())), static name => name),
        Schema = $$"""
            { "type": ["object", "null"],
              "propertyNames": { "pattern": "^([1-5][0-9][0-9](-[1-5][0-9][0-9])?|[1-5][xX][xX]|<<)$" },
              "additionalProperties": {{Sample.Schema}} }
            """,
        Text = "`STATUS: 1/N`",
        Samples = ["{ 429: 1/100 }", "{ 4xx: 1/10 }"],
    };

    public static readonly Keys<AccessLogConfig> Table = new Keys<AccessLogConfig>("access_log", new())
        .Key("to", AccessLog, log => log.To, (log, v) => log with { To = v },
            "Where the lines go. A syslog server on UDP has port 514 if none is given.")
        .Key("format", Format, log => log.Format, (log, v) => log with { Format = v },
            "How a line looks: a JSON object; the combined format of Apache and nginx; or a text in which `$name` "
                + "stands for a [variable](operating.md#variables), such as `'$client_address $method $path $status'`.")
        .DefaultText("`json`; lines for a person if stdout is a terminal")
        .Nested("only", Only, "Log [only some requests](#access-log-only): those that match one of its keys.")
        .DefaultText("all requests")
        .Key("sample", Samples, static _ => [], (log, v) => log with
        {
            Samples = [.. v.Select(static sample => new SampleConfig(StatusesOf(sample.At), sample.Value))],
        }, "Of the requests with this status log only one in N, counted by each event loop: `{ 429: 1/100 }`. The "
            + "narrowest status counts. The JSON line says how many requests it stands for: `\"sample\":100`.",
            "Samples")
        .DefaultText("none")
        .Key("query", Switch, log => log.ShowsQuery, (log, v) => log with { ShowsQuery = v },
            "Log queries too. The values of parameters of `clients.identify`, and of those with a usual name of a "
                + "credential such as `api_key`, `token` and `password`, are replaced by `***`.");

    private static StatusRange StatusesOf(ConfigField field)
    {
        Statuses.Parse(field.Name, out StatusRange range, out _);
        return range;
    }

    /// <summary><c>json</c>, <c>combined</c>, or a text with variables.</summary>
    private static bool TryFormat(string text, out string? format, out string error)
    {
        format = text;
        if (!text.Contains('$', StringComparison.Ordinal))
        {
            bool known = FormatWord(text, out format, out _);
            error = known ? "" : $"unknown format {Quote(text)}; " + (Suggestion.For(text, Words)
                ?? "write json, combined, or a text with variables such as $status");
            return known;
        }
        error = text.Any(static c => char.IsControl(c) && c != '\t')
            ? "a line cannot have line breaks or control characters; write a space or a tab instead"
            : AccessLogRules.UnknownVariable(text) is { } unknown ? $"no variable is named {Quote("$" + unknown)}; "
                + Suggestion.OrList(unknown, [.. AccessLogRules.Variables], "known variables")
            : AccessLogRules.MaxBytes(text) is > AccessLogRules.MaxLineBytes and var bytes
            ? $"a line could have {bytes} bytes, more than {AccessLogRules.MaxLineBytes}; use fewer variables" : "";
        return error.Length == 0;
    }

    /// <summary><c>1/100</c>.</summary>
    private static bool TrySample(string text, out int oneOf, out string error)
    {
        string[] parts = text.Split('/', StringSplitOptions.TrimEntries);
        oneOf = 0;
        error = parts is ["1", var number]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out oneOf)
            && oneOf is >= 2 and <= MaxOneOf ? ""
            : $"{Quote(text)} is not a share of the requests; write 1/2 to 1/{MaxOneOf}";
        return error.Length == 0;
    }
}
