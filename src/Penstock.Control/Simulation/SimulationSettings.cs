using System.Globalization;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Simulation;

/// <summary>What a replay is asked for, by the command or by the API.</summary>
/// <param name="Key">The member or field that names the client.</param>
/// <param name="Target">The maximum share of rejected requests, 0 to 1; null: none was given.</param>
/// <param name="Top">How many clients to list at most.</param>
internal sealed record SimulationSettings(LimitConfig Limit, string Key, LogFormat Format, double? Target, int Top)
{
    public const string DefaultKey = "client";
    public const int DefaultTop = 10;

    /// <summary>The words for the formats, the default first.</summary>
    public static readonly string[] Formats = ["auto", "json", "common", "combined"];

    public LogLineParser Parser => new(Format, Key);

    /// <param name="word">One of <see cref="Formats"/>.</param>
    public static LogFormat FormatOf(string word) => (LogFormat)Array.IndexOf(Formats, word);

    /// <returns>Why no line of this format can name a client so, or null.</returns>
    public static string? KeyFault(LogFormat format, string key) =>
        format is LogFormat.Common or LogFormat.Combined && KeysOf(format) is var keys && !keys.Contains(key)
            ? $"'{key}' is not a field of the {Formats[(int)format]} format: write {string.Join(" or ", keys)}"
            : null;

    private static string[] KeysOf(LogFormat format) =>
        format == LogFormat.Common ? LogLineParser.CommonKeys : LogLineParser.CombinedKeys;

    /// <summary>Reads a share such as 1% or 0.01. Not 1 alone, which one person means as a share and the next one as
    /// percent.</summary>
    public static bool TryShare(string text, out double share, out string error)
    {
        bool percent = text.EndsWith('%');
        bool good = double.TryParse(percent ? text[..^1] : text, NumberStyles.AllowDecimalPoint,
            CultureInfo.InvariantCulture, out share);
        bool unclear = good && !percent && share.Equals(1);
        error = unclear ? $"'{text}' may mean 1% or 100%: write one of them"
            : $"'{text}' is not a share: write 1% or 0.01";
        share /= percent ? 100 : 1;
        return good && !unclear && share is >= 0 and <= 1;
    }
}
