using System.CommandLine;
using System.Diagnostics;
using System.Text;
using Penstock.Commands;
using Penstock.UnitTests.Commands;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>docs/commands.md and the manual page are made from the commands.</summary>
public sealed class CommandDocTests
{
    private static readonly RootCommand Root = RootCommandLine.Create(new(TextWriter.Null, TextWriter.Null));

    [Fact]
    public void Document_lists_every_command_with_its_words()
    {
        var text = new StringBuilder("\n");
        foreach (Command command in CommandText.Leaves(Root))
        {
            text.Append($"## {CommandText.PathOf(command)}\n\n{command.Description}\n\n```sh\n")
                .Append(string.Concat(((PenstockCommand)command).Examples.Select(static line => line + "\n")))
                .Append($"```\n\n`{CommandText.UsageOf(command)}`\n\n");
            string rows = string.Concat(CommandText.WordsOf(command).Select(static word =>
                $"| `{word.Syntax.Replace("|", "\\|")}` | {word.Meaning.Replace("|", "\\|")} |\n"));
            text.Append(rows.Length == 0 ? "" : $"| argument or option | meaning |\n|---|---|\n{rows}\n");
        }
        GeneratedText.CheckParts("docs/commands.md", [("commands", text.ToString())]);
    }

    [Fact]
    public async Task Manual_page_has_every_command_and_no_mistake()
    {
        string page = (await CommandRun.Of("man")).Out;

        Assert.All(CommandText.Leaves(Root), command =>
            Assert.Contains($".SS {CommandText.PathOf(command).Replace("-", "\\-")}", page));
        Assert.SkipUnless(File.Exists("/usr/bin/groff"), "there is no groff to check the page with");
        var start = new ProcessStartInfo("/usr/bin/groff", ["-man", "-ww", "-z", "-Tutf8"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        using Process groff = Process.Start(start)!;
        await groff.StandardInput.WriteAsync(page);
        groff.StandardInput.Close();
        Assert.Equal("", await groff.StandardError.ReadToEndAsync());
    }
}
