using System.Globalization;
using System.Numerics;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Config;

/// <content>Numbers, with and without units.</content>
internal static partial class ConfigValue
{
    private const string OffWord = "\"off\"";

    /// <summary><c>10/s</c>, <c>600/m</c>, <c>0.5/s</c>, <c>1/h</c>, <c>1/d</c>.</summary>
    public static readonly Syntax<double> Rate = new(TryRate)
    {
        Schema = SchemaPart.Pattern(@"[0-9.]+ */ *[smhd]"),
        Text = "[rate](#rates)",
        Samples = ["10/s", "30/m"],
    };

    /// <summary>A number of tokens.</summary>
    public static readonly Syntax<long> Tokens = new(TryTokens, static tokens => $"{tokens}")
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Whole(1, 1_000_000_000), SchemaPart.Variable),
        Text = "1 to 1,000,000,000",
        Samples = ["100", "7"],
    };

    /// <summary>The number of event loops; 0 is <c>auto</c>, one for each processor.</summary>
    public static readonly Syntax<int> Loops = new(TryLoops, static loops => loops == 0 ? "\"auto\"" : $"{loops}")
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words("auto"), SchemaPart.Whole(1, 1024), SchemaPart.Variable),
        Text = "`auto`, or 1 to 1024",
        Samples = ["auto", "3"],
    };

    public static Syntax<int> Whole(int from, int to) => new(WholeFrom(from, to), static number => $"{number}")
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Whole(from, to), SchemaPart.Variable),
        Text = $"{from} to {to:N0}",
        Samples = [$"{from}", $"{Math.Min(from + 2, to)}"],
    };

    /// <summary>A whole number, or a word, which is 0.</summary>
    public static Syntax<int> WholeOr(string word, int to)
    {
        Parser<int> number = WholeFrom(1, to);
        return new(Parse, value => value == 0 ? SchemaPart.Quote(word) : $"{value}")
        {
            Schema = SchemaPart.AnyOf(SchemaPart.Words(word), SchemaPart.Whole(1, to), SchemaPart.Variable),
            Text = $"`{word}`, or 1 to {to:N0}",
            Samples = [word, "7"],
        };

        bool Parse(string text, out int value, out string error)
        {
            value = 0;
            return text.Equals(word, StringComparison.OrdinalIgnoreCase)
                ? Succeed(out error)
                : number(text, out value, out error)
                    || Fail($"{Quote(text)} is not a number from 1 to {to}; write a number, or {word}", out error);
        }
    }

    /// <summary>Bytes: <c>8192</c>, <c>32KiB</c>, <c>10MiB</c>, <c>2GiB</c>; <c>off</c> is 0 if allowed.</summary>
    public static Syntax<long> Size(long from, long to, bool mayBeOff = false)
    {
        return new(Parse, value => value == 0 && mayBeOff ? OffWord
            : value >= 1024 && value % 1024 == 0 ? $"\"{value / 1024}KiB\"" : $"{value}")
        {
            Schema = mayBeOff ? SchemaPart.AnyOf(SchemaPart.Words("off"), SchemaPart.Size) : SchemaPart.Size,
            Text = (mayBeOff ? "`off`, or " : "") + "[size](#sizes)"
                + (to <= 64 * 1024 ? $", {from} bytes to {to / 1024}KiB" : ""),
            Samples = [.. mayBeOff ? ["off"] : Array.Empty<string>(), "16KiB", "9000"],
        };

        bool Parse(string text, out long value, out string error)
        {
            value = 0;
            if (mayBeOff && text.Equals("off", StringComparison.OrdinalIgnoreCase))
            {
                return Succeed(out error);
            }
            (double? number, string unit) = SplitUnit(text);
            double? bytes = number * unit.Trim().ToLowerInvariant() switch
            {
                "" or "b" => 1,
                "k" or "kib" => 1L << 10,
                "m" or "mib" => 1L << 20,
                "g" or "gib" => 1L << 30,
                _ => null,
            };
            if (bytes is not { } size)
            {
                return Fail($"{Quote(text)} is not a size; write 8192, 32KiB, 10MiB or 2GiB", out error);
            }
            value = (long)Math.Min(size, long.MaxValue / 2);
            return value >= from && value <= to
                ? Succeed(out error)
                : Fail($"{Quote(text)} is not from {from} to {to} bytes", out error);
        }
    }

    /// <summary><c>20%</c>; also <c>0.2</c>.</summary>
    public static Syntax<double> Share(double from, double to)
    {
        return new(Parse, static share => share == 0 ? null
            : string.Create(CultureInfo.InvariantCulture, $"\"{share * 100:0.###}%\""))
        {
            Schema = SchemaPart.AnyOf(SchemaPart.Pattern("[0-9.]+ ?%?"),
                string.Create(CultureInfo.InvariantCulture,
                    $$"""{ "type": "number", "minimum": {{from}}, "maximum": {{to}} }""")),
            Text = string.Create(CultureInfo.InvariantCulture, $"{from * 100:0.###}% to {to * 100:0.###}%"),
            Samples = ["125%", "150%"],
        };

        bool Parse(string text, out double value, out string error)
        {
            (double? number, string unit) = SplitUnit(text);
            value = unit.Trim() switch
            {
                "%" => number / 100 ?? -1,
                "" => number ?? -1,
                _ => -1,
            };
            return value >= from && value <= to
                ? Succeed(out error)
                : Fail($"{Quote(text)} is not from {from * 100:0.###}% to {to * 100:0.###}%", out error);
        }
    }

    /// <summary>A whole number of percent, such as <c>50%</c>; <c>off</c> is 0.</summary>
    public static Syntax<int> PercentOrOff(int from, int to)
    {
        Parser<int> whole = WholeFrom(from, to);
        return new(Parse, static percent => percent == 0 ? OffWord : $"\"{percent}%\"")
        {
            Schema = SchemaPart.AnyOf(SchemaPart.Words("off"), SchemaPart.Pattern("[0-9]+ ?%")),
            Text = $"`off`, or {from}% to {to}%",
            Samples = ["off", "30%"],
        };

        bool Parse(string text, out int value, out string error)
        {
            value = 0;
            if (text.Equals("off", StringComparison.OrdinalIgnoreCase))
            {
                return Succeed(out error);
            }
            return (text.EndsWith('%') && whole(text[..^1].TrimEnd(), out value, out _) && Succeed(out error))
                || Fail($"{Quote(text)} is not a whole number of percent; write {from}% to {to}%, or off", out error);
        }
    }

    /// <summary>A number of times, such as <c>3</c> or <c>2.5</c>; <c>off</c> is 0.</summary>
    public static Syntax<double> FactorOrOff(double from, double to)
    {
        return new(Parse, static factor => factor == 0 ? OffWord : factor.ToString(CultureInfo.InvariantCulture))
        {
            Schema = SchemaPart.AnyOf(SchemaPart.Words("off"), string.Create(CultureInfo.InvariantCulture,
                $$"""{ "type": "number", "minimum": {{from}}, "maximum": {{to}} }"""), SchemaPart.Variable),
            Text = string.Create(CultureInfo.InvariantCulture, $"`off`, or {from} to {to}"),
            Samples = ["off", "2.5"],
        };

        bool Parse(string text, out double value, out string error)
        {
            value = 0;
            if (text.Equals("off", StringComparison.OrdinalIgnoreCase))
            {
                return Succeed(out error);
            }
            return (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value)
                    && value >= from && value <= to && Succeed(out error))
                || Fail(string.Create(CultureInfo.InvariantCulture,
                    $"{Quote(text)} is not a number from {from} to {to}; write a number, or off"), out error);
        }
    }

    /// <summary>See <see cref="Rate"/>.</summary>
    public static bool TryRate(string text, out double perSecond, out string error)
    {
        perSecond = 0;
        (double? number, string unit) = SplitUnit(text);
        if (number is { } && unit.Length == 0)
        {
            return Fail($"{Quote(text)} has no unit; write {text}/s", out error);
        }
        double? seconds = unit.Replace(" ", "", StringComparison.Ordinal) switch
        {
            "/s" => 1,
            "/m" => 60,
            "/h" => 3_600,
            "/d" => 86_400,
            _ => null,
        };
        if (number / seconds is not { } rate)
        {
            return Fail($"{Quote(text)} is not a rate; write 10/s, 600/m, 0.5/s, 1/h or 1/d", out error);
        }
        perSecond = rate;
        return Limiter.Fault(null, rate) is { } fault
            ? Fail($"{Quote(text)} {fault.Message}", out error) : Succeed(out error);
    }

    /// <summary>A number of an option or a parameter: a whole one, unless <typeparamref name="T"/> has fractions.
    /// </summary>
    public static bool TryBetween<T>(string text, T min, T max, out T value, out string error) where T : INumber<T>
    {
        // No thousands separators: "1,5" must not mean 15.
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint;
        if (T.TryParse(text, Style, CultureInfo.InvariantCulture, out value!) && value >= min && value <= max)
        {
            return Succeed(out error);
        }
        bool isWhole = default(T) is not double;
        // A number that the type cannot hold is a number, too.
        bool isNumber = double.TryParse(text, Style, CultureInfo.InvariantCulture, out double number)
            && (!isWhole || double.IsInteger(number));
        return Fail(isNumber ? $"{Quote(text)} is out of range: write a number from {min} to {max}"
            : $"{Quote(text)} is not a {(isWhole ? "whole number" : "number")}: write one from {min} to {max}",
            out error);
    }

    /// <summary>A word of an option or a parameter.</summary>
    public static bool TryOneOf(string text, string[] words, out string error)
    {
        error = $"'{text}' is not one of {string.Join(", ", words)}";
        return words.Contains(text);
    }

    private static bool TryLoops(string text, out int value, out string error)
    {
        value = 0;
        return text.Equals("auto", StringComparison.OrdinalIgnoreCase)
            ? Succeed(out error)
            : WholeFrom(1, 1024)(text, out value, out error)
                || Fail($"{Quote(text)} is not a number of loops; write auto, or a number from 1 to 1024", out error);
    }

    private static bool TryTokens(string text, out long value, out string error) =>
        TryWhole(text, out value, out error)
        && (Limiter.Fault(value, null) is not { } fault || Fail($"{Quote(text)} {fault.Message}", out error));

    private static bool TryWhole(string text, out long value, out string error) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a whole number", out error);

    private static Parser<int> WholeFrom(int from, int to) => (string text, out int value, out string error) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value)
            && value >= from && value <= to
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a whole number from {from} to {to}", out error);

    private static (double? Number, string Unit) SplitUnit(string text)
    {
        string unit = text.TrimStart([.. "0123456789."]);
        ReadOnlySpan<char> digits = text.AsSpan(0, text.Length - unit.Length);
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            ? (number, unit)
            : (null, unit);
    }
}
