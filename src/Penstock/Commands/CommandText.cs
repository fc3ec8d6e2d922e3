using System.Collections;
using System.CommandLine;
using System.CommandLine.Help;

namespace Penstock.Commands;

/// <summary>The commands as texts for the manual page and for docs/commands.md.</summary>
internal static class CommandText
{
    /// <summary>Such as <c>penstock clients get</c>.</summary>
    public static string PathOf(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is { } parent
        ? $"{PathOf(parent)} {command.Name}"
        : "penstock";

    /// <summary>The commands that do something, in the order of the help.</summary>
    public static IEnumerable<Command> Leaves(Command command) => command.Subcommands.Count == 0
        ? [command]
        : command.Subcommands.SelectMany(Leaves);

    /// <summary>The commands that only hold others.</summary>
    public static IEnumerable<Command> Groups(Command command) => command.Subcommands.Count == 0
        ? [] : command.Subcommands.SelectMany(Groups).Prepend(command);

    /// <summary>Such as <c>penstock clients get ID [options]</c>.</summary>
    public static string UsageOf(Command command) => string.Join(' ', command.Arguments
        .Select(static argument => argument.Arity.MinimumNumberOfValues > 0 && !argument.HasDefaultValue
            ? argument.Name : $"[{argument.Name}]")
        .Prepend(PathOf(command)).Append("[options]"));

    /// <summary>What may stand on the command line: arguments and options, each with what it means.</summary>
    public static IEnumerable<(string Syntax, string Meaning)> WordsOf(Command command)
    {
        foreach (Argument argument in command.Arguments)
        {
            yield return (argument.Name, argument.Description ?? "");
        }

        foreach (Option option in OptionsOf(command).Where(static option => option is { Hidden: false }
            and not HelpOption and not VersionOption))
        {
            string value = option.ValueType == typeof(bool) ? "" : " " + (option.HelpName ?? "VALUE");
            yield return (string.Join(", ", option.Aliases.Prepend(option.Name)) + value, option.Description
                + (option.Required ? " (required)" : DefaultOf(option)));
        }
    }

    /// <summary>All options that it takes, also those of the commands above it.</summary>
    public static IEnumerable<Option> OptionsOf(Command command) => command.Options.Concat(command.Parents
        .OfType<Command>().SelectMany(static parent => OptionsOf(parent).Where(static option => option.Recursive)));

    private static string DefaultOf(Option option) =>
        option is { HasDefaultValue: true, ValueType: var type } && type != typeof(bool)
            && option.GetDefaultValue() is { } value and (string or not IEnumerable) ? $" [default: {value}]" : "";
}
