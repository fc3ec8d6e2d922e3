namespace Penstock.Control.Config;

/// <content>Durations.</content>
internal static partial class ConfigValue
{
    /// <summary>See <see cref="TryDuration"/>.</summary>
    public static readonly Syntax<TimeSpan> Duration = new(TryDuration, Written)
    {
        Schema = SchemaPart.Duration,
        Text = "[duration](#durations)",
        Samples = ["7s", "700ms"],
    };

    /// <summary>See <see cref="TryDurationOrOff"/>.</summary>
    public static readonly Syntax<TimeSpan> DurationOrOff = new(TryDurationOrOff, WrittenOrOff)
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words("off"), SchemaPart.Duration),
        Text = "`off`, or [duration](#durations)",
        Samples = ["off", "7s"],
    };

    /// <summary>See <see cref="TryDelay"/>.</summary>
    public static readonly Syntax<TimeSpan> Delay = new(TryDelay, WrittenOrOff)
    {
        Schema = DurationOrOff.Schema,
        Text = "`off`, `0s`, or [duration](#durations)",
        Samples = ["0s", "off", "3s"],
    };

    /// <summary>See <see cref="TryAge"/>.</summary>
    public static readonly Syntax<TimeSpan> AgeOrOff = new(TryAge, WrittenAge)
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words("off"), SchemaPart.Duration, SchemaPart.Days),
        Text = "`off`, or days such as `365d`, or [duration](#durations)",
        Samples = ["off", "365d", "1h"],
    };

    private const int MaxAgeDays = 3650;

    private static readonly TimeSpan MinDuration = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxDuration = TimeSpan.FromHours(24);

    /// <summary><c>500ms</c>, <c>5s</c>, <c>1.5m</c>, <c>1h</c>; from 1ms to 24h.</summary>
    public static bool TryDuration(string text, out TimeSpan value, out string error)
    {
        value = default;
        (double? number, string unit) = SplitUnit(text);
        if (number is { } bare && unit.Length == 0)
        {
            string how = bare >= 100 ? $"{text}ms or {bare / 1000:0.###}s" : $"{text}s or {bare * 1000:0.###}ms";
            return Fail($"{Quote(text)} has no unit; write {how}", out error);
        }
        double? milliseconds = number * unit switch
        {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => null,
        };
        if (milliseconds is not { } length)
        {
            return Fail($"{Quote(text)} is not a duration; write 500ms, 5s, 2m or 1h", out error);
        }
        if (length < MinDuration.TotalMilliseconds || length > MaxDuration.TotalMilliseconds)
        {
            return Fail($"{Quote(text)} is not between 1ms and 24h", out error);
        }
        value = TimeSpan.FromMilliseconds(length);
        return Succeed(out error);
    }

    /// <summary>A duration, or <c>off</c>, which is zero.</summary>
    public static bool TryDurationOrOff(string text, out TimeSpan value, out string error)
    {
        value = TimeSpan.Zero;
        return text.Equals("off", StringComparison.OrdinalIgnoreCase) ? Succeed(out error)
            : TryDuration(text, out value, out error);
    }

    /// <summary>A duration, whole days from <c>1d</c> to <c>3650d</c>, or <c>off</c>, which is zero.</summary>
    private static bool TryAge(string text, out TimeSpan value, out string error)
    {
        (double? number, string unit) = SplitUnit(text);
        if (unit != "d" || number is not { } days)
        {
            return TryDurationOrOff(text, out value, out error);
        }
        value = TimeSpan.Zero;
        if (days is < 1 or > MaxAgeDays || days != Math.Floor(days))
        {
            return Fail($"{Quote(text)} is not from 1d to {MaxAgeDays}d in whole days", out error);
        }
        value = TimeSpan.FromDays((int)days);
        return Succeed(out error);
    }

    private static string WrittenAge(TimeSpan value) => value >= TimeSpan.FromDays(1)
        ? $"\"{(int)value.TotalDays}d\"" : WrittenOrOff(value);

    /// <summary>A duration that may be zero: <c>off</c> or <c>0s</c>.</summary>
    public static bool TryDelay(string text, out TimeSpan value, out string error)
    {
        value = TimeSpan.Zero;
        return IsZero(text) ? Succeed(out error) : TryDurationOrOff(text, out value, out error);

        static bool IsZero(string text)
        {
            (double? number, string unit) = SplitUnit(text);
            return number is 0 && unit is ("ms" or "s" or "m" or "h");
        }
    }

    /// <summary>Prints a duration in the largest unit in which it is a whole number; minutes only from ten, because
    /// people write it so.</summary>
    private static string Written(TimeSpan value) => value switch
    {
        _ when value.TotalHours >= 1 && value == TimeSpan.FromHours((int)value.TotalHours) =>
            $"\"{(int)value.TotalHours}h\"",
        _ when value.TotalMinutes >= 10 && value == TimeSpan.FromMinutes((int)value.TotalMinutes) =>
            $"\"{(int)value.TotalMinutes}m\"",
        _ when value.Milliseconds == 0 => $"\"{(long)value.TotalSeconds}s\"",
        _ => $"\"{(long)value.TotalMilliseconds}ms\"",
    };

    private static string WrittenOrOff(TimeSpan value) => value == TimeSpan.Zero ? OffWord : Written(value);
}
