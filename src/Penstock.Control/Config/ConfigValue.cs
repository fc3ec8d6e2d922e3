using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>Reads one value from its text. On failure <paramref name="error"/> is one line, in the form
/// "what is wrong; what to write instead" if there is advice.</summary>
internal delegate bool Parser<T>(string text, out T value, out string error);

/// <summary>The syntax of values, shared by the configuration file and the command line.</summary>
internal static partial class ConfigValue
{
    /// <summary><c>true</c> or <c>false</c>.</summary>
    public static readonly Syntax<bool> Switch = new(TrySwitch, static on => on ? "true" : "false")
    {
        Schema = SchemaPart.AnyOf("""{ "type": "boolean" }""", SchemaPart.Variable),
        Text = "`true` or `false`",
        Samples = ["true", "false"],
    };

    /// <summary>Any text.</summary>
    public static readonly Syntax<string> Text = new(TryText)
    {
        Schema = SchemaPart.Scalar,
        Text = "text",
        Samples = ["abc", "def"],
    };

    /// <summary>See <see cref="TryName"/>.</summary>
    public static readonly Syntax<string> Name = new(TryName)
    {
        Schema = SchemaPart.Pattern("[A-Za-z0-9_.-]{1,64}"),
        Text = "name",
        Samples = ["one", "two"],
    };

    /// <summary>How a backend is picked.</summary>
    public static readonly Syntax<BalanceAlgorithm> Balance = OneOf(
        new Dictionary<string, string>
        {
            ["iphash"] = "write hash, which hashes the client's address by default",
            ["source"] = "write hash, which hashes the client's address by default",
            ["uri"] = "write balance: hash and hash: path",
            ["ringhash"] = "write hash", ["consistenthash"] = "write hash", ["maglev"] = "write hash",
            ["weightedroundrobin"] = "write round_robin, which obeys weights",
            ["weighted"] = "write round_robin, which obeys weights",
            ["wrr"] = "write round_robin, which obeys weights",
            ["staticrr"] = "write round_robin", ["rr"] = "write round_robin",
            ["leastrequest"] = "write least_connections", ["leastloaded"] = "write least_connections",
            ["ewma"] = "write least_time", ["peakewma"] = "write least_time", ["fastest"] = "write least_time",
            ["sticky"] = "write sticky: { secret: … }, which works with any algorithm",
        },
        ("round_robin", BalanceAlgorithm.RoundRobin),
        ("least_connections", BalanceAlgorithm.LeastConnections),
        ("random", BalanceAlgorithm.Random),
        ("power_of_two", BalanceAlgorithm.PowerOfTwo),
        ("least_time", BalanceAlgorithm.LeastTime),
        ("hash", BalanceAlgorithm.Hash),
        ("least_conn", BalanceAlgorithm.LeastConnections),
        ("p2c", BalanceAlgorithm.PowerOfTwo));

    public static bool TryBalance(string text, out BalanceAlgorithm value, out string error) =>
        Balance.Parse(text, out value, out error);

    /// <summary>A name that the operator chooses. Limit names are used in quotes in the RateLimit fields, upstream
    /// names in metrics and URLs.</summary>
    public static bool TryName(string text, out string value, out string error)
    {
        value = text;
        return text.Length is > 0 and <= 64
            && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a name; use up to 64 letters, digits, '-', '_' and '.'", out error);
    }

    /// <summary>One of some words, in any spelling of case, <c>-</c> and <c>_</c>. Of several words for one value the
    /// first is the usual one.</summary>
    public static Syntax<T> OneOf<T>(params (string Word, T Value)[] choices) =>
        OneOf(new Dictionary<string, string>(), choices);

    /// <param name="instead">What to write instead of words of other software, which are without <c>-</c> and
    /// <c>_</c>.</param>
    /// <param name="choices">See the other overload.</param>
    private static Syntax<T> OneOf<T>(
        IReadOnlyDictionary<string, string> instead, params (string Word, T Value)[] choices)
    {
        string[] words = [.. choices.Select(static c => c.Word)];
        string[] quoted = [.. words.Select(static w => $"`{w}`")];
        return new(Parse, value => choices.Where(c => EqualityComparer<T>.Default.Equals(c.Value, value))
            .Select(static c => SchemaPart.Quote(c.Word)).FirstOrDefault())
        {
            Schema = SchemaPart.AnyOf(SchemaPart.Words(words), SchemaPart.Variable),
            Text = $"{string.Join(", ", quoted[..^1])} or {quoted[^1]}",
            Samples = words,
        };

        bool Parse(string text, out T value, out string error)
        {
            (string Word, T Value) found =
                choices.FirstOrDefault(c => Suggestion.Fold(c.Word) == Suggestion.Fold(text));
            value = found.Value;
            if (found.Word is not null)
            {
                return Succeed(out error);
            }
            string hint = instead.GetValueOrDefault(Suggestion.Fold(text))
                ?? Suggestion.For(text, words) ?? "write " + string.Join(" or ", words);
            return Fail($"unknown value {Quote(text)}; {hint}", out error);
        }
    }

    /// <summary>The name of something that is defined elsewhere in the file.</summary>
    public static Parser<string> Reference(string what, IReadOnlyCollection<string> names) =>
        (string text, out string value, out string error) =>
        {
            value = text;
            if (names.Contains(text))
            {
                return Succeed(out error);
            }
            string hint = what == "limit" && text is "none" or "no" ? "write off"
                : names.Count == 0 ? $"there is no {what}"
                : Suggestion.OrList(text, names, $"known {what}s");
            return Fail($"no {what} is named {Quote(text)}; {hint}", out error);
        };

    /// <summary>A value within a message: short, and on one line.</summary>
    public static string Quote(string text)
    {
        string shown = text.Length <= 60 ? text : text[..60] + "…";
        return $"'{string.Concat(shown.Select(static c => char.IsControl(c) ? '?' : c))}'";
    }

    private static bool TrySwitch(string text, out bool value, out string error) =>
        bool.TryParse(text, out value) ? Succeed(out error) : Fail($"{Quote(text)} is not true or false", out error);

    public static bool TryText(string text, out string value, out string error)
    {
        value = text;
        return Succeed(out error);
    }

    private static bool Succeed(out string error)
    {
        error = "";
        return true;
    }

    private static bool Fail(string message, out string error)
    {
        error = message;
        return false;
    }
}
