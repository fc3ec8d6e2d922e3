using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Invocation;

namespace Penstock.Commands;

/// <summary><c>penstock '[suggest]' LINE</c>: prints what may follow at the end of a command line, one candidate per
/// line: the word, a tab, and what it means. The scripts of <see cref="CompletionCommand"/> call it.</summary>
internal sealed class Completions(Terminal terminal) : SynchronousCommandLineAction
{
    public override bool Terminating => true;

    public override bool ClearsParseErrors => true; // the line is not a command

    public static void AddTo(RootCommand root, Terminal terminal) =>
        root.Directives.OfType<SuggestDirective>().Single().Action = new Completions(terminal);

    public override int Invoke(ParseResult parseResult)
    {
        string line = parseResult.Tokens.Count == 0 ? "" : parseResult.Tokens[^1].Value;
        int program = line.IndexOf(' ', StringComparison.Ordinal); // the line begins with the program's name
        string words = program < 0 ? "" : line[(program + 1)..];
        bool wantsOption = words.Split(' ')[^1].StartsWith('-');
        ParseResult asked = parseResult.RootCommandResult.Command.Parse(words, parseResult.Configuration);
        foreach (CompletionItem item in asked.GetCompletions(words.Length)
            .Where(item => item.Label.StartsWith('-') == wantsOption))
        {
            terminal.Out.WriteLine($"{item.Label}\t{FirstSentence(item.Detail)}");
        }

        return ExitCode.Ok;
    }

    private static string FirstSentence(string? text) =>
        Terminal.Plain((text ?? "").Split([". ", ": ", " ["], StringSplitOptions.None)[0]);
}
