using System.Globalization;

namespace Penstock.Commands;

/// <summary>How long something lasts, for a person: the two largest units that are not 0.</summary>
internal static class Lasting
{
    private const double SecondsPerDay = 86_400;

    public static string Of(double seconds)
    {
        double whole = Math.Round(seconds);
        if (whole < 60)
        {
            return seconds.ToString(seconds < 10 ? "0.##" : "0.#", CultureInfo.InvariantCulture) + " s";
        }

        if (whole >= 100 * SecondsPerDay)
        {
            return (whole / SecondsPerDay).ToString("0", CultureInfo.InvariantCulture) + " d";
        }

        var time = TimeSpan.FromSeconds(whole);
        (int large, string unit, int small, string rest) = time.TotalDays >= 1
            ? ((int)time.TotalDays, "d", time.Hours, "h")
            : time.TotalHours >= 1 ? (time.Hours, "h", time.Minutes, "min") : (time.Minutes, "min", time.Seconds, "s");
        return $"{large} {unit}" + (small == 0 ? "" : $" {small} {rest}");
    }
}
