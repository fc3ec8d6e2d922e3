using System.Globalization;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>Reads one value from its text. On failure <paramref name="error"/> is one line, in the form
/// "what is wrong; what to write instead" where there is something to advise.</summary>
internal delegate bool Parser<T>(string text, out T value, out string error);

/// <summary>The syntax of values, shared by the configuration file and the command line.</summary>
internal static partial class ConfigValue
{
    private static readonly Parser<BalanceAlgorithm> Algorithm = OneOf(
        ("round_robin", BalanceAlgorithm.RoundRobin),
        ("least_connections", BalanceAlgorithm.LeastConnections),
        ("random", BalanceAlgorithm.Random),
        ("power_of_two", BalanceAlgorithm.PowerOfTwo),
        ("least_time", BalanceAlgorithm.LeastTime),
        ("hash", BalanceAlgorithm.Hash),
        ("least_conn", BalanceAlgorithm.LeastConnections),
        ("p2c", BalanceAlgorithm.PowerOfTwo));

    private static readonly TimeSpan MinDuration = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxDuration = TimeSpan.FromHours(24);

    /// <summary><c>500ms</c>, <c>5s</c>, <c>1.5m</c>, <c>1h</c>; from 1ms to 24h.</summary>
    public static bool TryDuration(string text, out TimeSpan value, out string error)
    {
        value = default;
        var (number, unit) = SplitUnit(text);
        if (number is { } bare && unit.Length == 0)
            return Fail($"{Quote(text)} has no unit; write {text}s or {bare * 1000:0.###}ms", out error);
        double? milliseconds = number * unit switch
        {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => null,
        };
        if (milliseconds is not { } length)
            return Fail($"{Quote(text)} is not a duration; write 500ms, 5s, 2m or 1h", out error);
        if (length < MinDuration.TotalMilliseconds || length > MaxDuration.TotalMilliseconds)
            return Fail($"{Quote(text)} is not between 1ms and 24h", out error);
        value = TimeSpan.FromMilliseconds(length);
        return Succeed(out error);
    }

    /// <summary><c>10/s</c>, <c>600/m</c>, <c>0.5/s</c>, <c>1/h</c>, <c>1/d</c>.</summary>
    public static bool TryRate(string text, out double perSecond, out string error)
    {
        perSecond = 0;
        var (number, unit) = SplitUnit(text);
        if (number is { } && unit.Length == 0)
            return Fail($"{Quote(text)} has no unit; write {text}/s", out error);
        double? seconds = unit.Replace(" ", "", StringComparison.Ordinal) switch
        {
            "/s" => 1,
            "/m" => 60,
            "/h" => 3_600,
            "/d" => 86_400,
            _ => null,
        };
        if (number / seconds is not { } rate)
            return Fail($"{Quote(text)} is not a rate; write 10/s, 600/m, 0.5/s, 1/h or 1/d", out error);
        perSecond = rate;
        return Succeed(out error);
    }

    public static bool TryBalance(string text, out BalanceAlgorithm value, out string error) =>
        Algorithm(text, out value, out error);

    /// <summary><c>address</c>, <c>path</c>, <c>header:NAME</c>, <c>cookie:NAME</c> or <c>query:NAME</c>.</summary>
    public static bool TryHashKey(string text, out HashConfig value, out string error)
    {
        value = new();
        var (kind, name) = text.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon
            ? (text[..colon], text[(colon + 1)..]) : (text, null);
        HashSource? source = kind.ToLowerInvariant() switch
        {
            "address" when name is null => HashSource.Address,
            "path" when name is null => HashSource.Path,
            "header" when name is not null && IsToken(name) => HashSource.Header,
            "cookie" when name is not null && IsToken(name) => HashSource.Cookie,
            "query" when !string.IsNullOrEmpty(name) => HashSource.Query,
            _ => null,
        };
        if (source is not { } known)
            return Fail($"{Quote(text)} is nothing to hash by; write address, path, header:NAME, cookie:NAME or "
                + "query:NAME", out error);
        value = new() { Source = known, Name = name ?? "" };
        return Succeed(out error);
    }

    public static bool TryCookieName(string text, out string value, out string error)
    {
        value = text;
        return IsToken(text) ? Succeed(out error) : Fail($"{Quote(text)} is not a cookie's name", out error);
    }

    /// <summary><c>20%</c>; also <c>0.2</c>.</summary>
    public static Parser<double> Share(double from, double to) => (string text, out double value, out string error) =>
    {
        var (number, unit) = SplitUnit(text);
        value = unit.Trim() switch
        {
            "%" => number / 100 ?? -1,
            "" => number ?? -1,
            _ => -1,
        };
        return value >= from && value <= to
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not from {from * 100:0.###}% to {to * 100:0.###}%", out error);
    };

    /// <summary>A duration, or <c>off</c>, which is zero.</summary>
    public static bool TryDurationOrOff(string text, out TimeSpan value, out string error)
    {
        value = TimeSpan.Zero;
        return text.Equals("off", StringComparison.OrdinalIgnoreCase) ? Succeed(out error)
            : TryDuration(text, out value, out error);
    }

    /// <summary>A duration that may be none at all: <c>off</c> and <c>0s</c> are the same.</summary>
    public static bool TryDelay(string text, out TimeSpan value, out string error)
    {
        value = TimeSpan.Zero;
        return IsZero(text) ? Succeed(out error) : TryDurationOrOff(text, out value, out error);

        static bool IsZero(string text)
        {
            var (number, unit) = SplitUnit(text);
            return number is 0 && unit is ("ms" or "s" or "m" or "h");
        }
    }

    /// <summary>The number of event loops; 0 is <c>auto</c>, one for each processor.</summary>
    public static bool TryLoops(string text, out int value, out string error)
    {
        value = 0;
        return text.Equals("auto", StringComparison.OrdinalIgnoreCase)
            ? Succeed(out error)
            : Whole(1, 1024)(text, out value, out error)
                || Fail($"{Quote(text)} is not a number of loops; write auto, or a number from 1 to 1024", out error);
    }

    public static bool TrySwitch(string text, out bool value, out string error) =>
        bool.TryParse(text, out value) ? Succeed(out error) : Fail($"{Quote(text)} is not true or false", out error);

    public static bool TryText(string text, out string value, out string error)
    {
        value = text;
        return Succeed(out error);
    }

    /// <summary>A name that the operator chose. Limit names stand in quotes in the RateLimit fields, upstream names in
    /// metrics and URLs.</summary>
    public static bool TryName(string text, out string value, out string error)
    {
        value = text;
        return text.Length is > 0 and <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a name; use up to 64 letters, digits, '-', '_' and '.'", out error);
    }

    public static bool TryWhole(string text, out long value, out string error) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a whole number", out error);

    public static Parser<int> Whole(int from, int to) => (string text, out int value, out string error) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            && value >= from && value <= to
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a whole number from {from} to {to}", out error);

    /// <summary>Bytes: <c>8192</c>, <c>32KiB</c>, <c>10MiB</c>, <c>2GiB</c>; <c>off</c> is 0 if allowed.</summary>
    public static Parser<long> Size(long from, long to, bool mayBeOff = false) =>
        (string text, out long value, out string error) =>
        {
            value = 0;
            if (mayBeOff && text.Equals("off", StringComparison.OrdinalIgnoreCase))
                return Succeed(out error);
            var (number, unit) = SplitUnit(text);
            double? bytes = number * unit.Trim().ToLowerInvariant() switch
            {
                "" or "b" => 1,
                "k" or "kib" => 1L << 10,
                "m" or "mib" => 1L << 20,
                "g" or "gib" => 1L << 30,
                _ => null,
            };
            if (bytes is not { } size)
                return Fail($"{Quote(text)} is not a size; write 8192, 32KiB, 10MiB or 2GiB", out error);
            value = (long)Math.Min(size, long.MaxValue / 2);
            return value >= from && value <= to
                ? Succeed(out error)
                : Fail($"{Quote(text)} is not from {from} to {to} bytes", out error);
        };

    /// <summary>A whole number, or a word, which is 0.</summary>
    public static Parser<int> WholeOr(string word, int to) => (string text, out int value, out string error) =>
    {
        value = 0;
        return text.Equals(word, StringComparison.OrdinalIgnoreCase)
            ? Succeed(out error)
            : Whole(1, to)(text, out value, out error)
                || Fail($"{Quote(text)} is not a number from 1 to {to}; write a number, or {word}", out error);
    };

    /// <summary>One of some words, in any spelling of case, <c>-</c> and <c>_</c>.</summary>
    public static Parser<T> OneOf<T>(params (string Word, T Value)[] choices) =>
        (string text, out T value, out string error) =>
        {
            var found = choices.FirstOrDefault(c => Suggestion.Fold(c.Word) == Suggestion.Fold(text));
            value = found.Value;
            if (found.Word is not null)
                return Succeed(out error);
            var hint = Suggestion.For(text, choices.Select(c => c.Word)) ?? "write " + Words(choices);
            return Fail($"unknown value {Quote(text)}; {hint}", out error);
        };

    /// <summary>The name of something that is defined elsewhere in the file.</summary>
    public static Parser<string> Reference(string what, IReadOnlyCollection<string> names) =>
        (string text, out string value, out string error) =>
        {
            value = text;
            if (names.Contains(text))
                return Succeed(out error);
            var hint = names.Count == 0 ? $"there is no {what}"
                : Suggestion.OrList(text, names, $"known {what}s");
            return Fail($"no {what} is named {Quote(text)}; {hint}", out error);
        };

    /// <summary>A value within a message: short, and on one line.</summary>
    public static string Quote(string text)
    {
        var shown = text.Length <= 60 ? text : text[..60] + "…";
        return $"'{string.Concat(shown.Select(c => char.IsControl(c) ? '?' : c))}'";
    }

    private static string Words<T>(IEnumerable<(string Word, T Value)> choices) =>
        string.Join(" or ", choices.Select(c => c.Word));

    private static (double? Number, string Unit) SplitUnit(string text)
    {
        var unit = text.TrimStart([.. "0123456789."]);
        var digits = text.AsSpan(0, text.Length - unit.Length);
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            ? (number, unit)
            : (null, unit);
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
