using System.Text.RegularExpressions;

namespace Penstock.Commands;

/// <summary>Spellings of options that people bring from other programs: <c>--start_port</c> for <c>--start-port</c>.
/// docs/coming-from.md lists them.</summary>
internal static partial class OtherSpellings
{
    /// <summary>Names that another balancer has for an option of this command.</summary>
    private static readonly Dictionary<(string Command, string Other), string> Names = new()
    {
        [("backends", "--servers")] = "--count",
        [("run", "--path")] = "--config",
        [("check", "--path")] = "--config",
    };

    /// <summary>The arguments in the usual spelling. What follows <c>--</c> stays, because it is no option.</summary>
    public static IEnumerable<string> Of(string[] args)
    {
        int end = Array.IndexOf(args, "--");
        return args.Select((word, index) => (end < 0 || index < end) && LongOption().Match(word) is { Success: true }
            found ? Usual(args[0], found.Value) + word[found.Length..] : word);
    }

    private static string Usual(string command, string option) =>
        Names.GetValueOrDefault((command, option), option.Replace('_', '-'));

    /// <summary>The name of a long option, up to its <c>=</c>.</summary>
    [GeneratedRegex("^--[a-z]+(_[a-z]+)*(?==|$)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex LongOption();
}
