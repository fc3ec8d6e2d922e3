using System.CommandLine;
using System.CommandLine.Parsing;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary>Words of a command line that nothing asked for: unknown options, misspelt commands, too many arguments.
/// </summary>
internal static class StrayWords
{
    /// <param name="args">The arguments as they were written.</param>
    /// <param name="isWrong">The library has found a fault.</param>
    /// <returns>The fault of the first stray word, with what was meant; null: there is none.</returns>
    public static string? Fault(string[] args, ParseResult parse, bool isWrong)
    {
        Command command = parse.CommandResult.Command;
        string[] options = [.. OtherSpellings.Of([.. args.TakeWhile(static word => word != "--")])];
        if (UnknownOption(options, parse) is { } option)
        {
            string[] known = [.. CommandText.OptionsOf(command).Select(static one => one.Name)];
            string? meant = known.FirstOrDefault(one => one.StartsWith(option, StringComparison.Ordinal))
                ?? Suggestion.Nearest(option, known);
            return $"unknown option '{option}'" + (meant is null ? "" : $": did you mean {meant}?");
        }
        if (!isWrong || parse.UnmatchedTokens is not [{ } word, ..])
        {
            return null;
        }

        if (word.StartsWith('-') && word.Length > 1 && options.Contains(word))
        {
            return $"unknown option '{word}'";
        }

        return command.Subcommands.Count == 0 ? $"unexpected argument '{Terminal.Plain(word)}'"
            : UnknownCommand(command, word);
    }

    /// <summary>Whether the library's own words are about a stray word.</summary>
    public static bool IsCauseOf(ParseError error, ParseResult parse) => error.SymbolResult == parse.CommandResult
        && parse.UnmatchedTokens.Any(word => error.Message.Contains($"'{word}'", StringComparison.Ordinal));

    private static string UnknownCommand(Command group, string word)
    {
        string[] known = [.. group.Subcommands.Where(static one => !one.Hidden).Select(static one => one.Name)];
        string path = CommandText.PathOf(group);
        return $"unknown command '{Terminal.Plain(word)}'" + (Suggestion.Nearest(word, known) is { } meant
            ? $": did you mean '{path} {meant}'?" : group is RootCommand ? ""
            : $": '{path}' has {string.Join(", ", known)}");
    }

    /// <summary>The first word that looks like an option and was taken for an argument. What follows <c>--</c> is one.
    /// </summary>
    private static string? UnknownOption(string[] options, ParseResult parse)
    {
        IEnumerable<string> arguments = parse.CommandResult.Children.OfType<ArgumentResult>()
            .SelectMany(static argument => argument.Tokens).Select(static token => token.Value)
            .Concat(parse.UnmatchedTokens);
        return arguments.FirstOrDefault(word => word.StartsWith("--", StringComparison.Ordinal)
            && options.Contains(word))?.Split('=')[0];
    }
}
