using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Penstock.Commands;

/// <summary>A command whose help ends with examples that can be pasted.</summary>
internal sealed class PenstockCommand(string name, string description, params string[] examples)
    : Command(name, description)
{
    public IReadOnlyList<string> Examples => examples;
}

/// <summary>Prints the library's help, then the command's examples.</summary>
internal sealed class HelpWithExamples(HelpAction help) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not PenstockCommand { Examples.Count: > 0 } command)
        {
            return ExitCode.Ok;
        }

        TextWriter output = parseResult.InvocationConfiguration.Output;
        output.WriteLine(command.Examples.Count == 1 ? "Example:" : "Examples:");
        foreach (string example in command.Examples)
        {
            output.WriteLine("  " + example);
        }

        output.WriteLine();
        return ExitCode.Ok;
    }
}
