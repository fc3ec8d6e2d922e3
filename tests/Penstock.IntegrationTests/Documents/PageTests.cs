using System.CommandLine;
using System.Diagnostics;
using Penstock.Commands;
using Penstock.IntegrationTests.Deploy;
using Xunit;

namespace Penstock.IntegrationTests.Documents;

/// <summary>What the documents tell their readers to do works: commands are run, configurations are checked, output is
/// compared. A comment before a block that cannot be run here says why; tests/README.md has the words for it.</summary>
public sealed class PageTests(ITestOutputHelper output)
{
    /// <summary>Why a block is not run, and a word that every such block has. Add a reason only if there is no way to
    /// run the block in <c>stage.sh</c>.</summary>
    private static readonly Dictionary<string, string[]> Reasons = new(StringComparer.Ordinal)
    {
        ["needs Docker"] = ["docker"],
        ["needs a cluster"] = ["kubectl", "kustomization"],
        ["needs systemd"] = ["systemctl"],
        ["changes packages of the machine"] = ["apt"],
        ["builds for minutes"] = ["dotnet build", "dotnet publish", "dotnet run", "release.sh"],
        ["runs the tests"] = ["test.sh", "try.sh", "fuzz.sh", "PENSTOCK_STORM_SECONDS"],
        ["needs k6"] = ["k6"],
    };

    private static readonly string[] Runnable = ["sh", "yaml", "yml", "json", "jsonc", "sql"];

    public static TheoryData<string> PagesWithBlocks => [.. Block.Pages.Where(static page =>
        Block.Of(page).Any(static block => block.NotRun is null && Runnable.Contains(block.Language)))];

    [Theory]
    [MemberData(nameof(PagesWithBlocks))]
    public async Task Blocks_of_a_page_do_what_it_says(string page)
    {
        Assert.SkipWhen(Stage.Obstacle is not null, Stage.Obstacle ?? "");
        Block[] blocks = [.. Block.Of(page).Where(static block => block.NotRun is null
            && (Runnable.Contains(block.Language) || Stage.IsShownOutput(block)))];
        string? missing = Stage.MissingTool(page, blocks);
        Assert.SkipWhen(missing is not null, $"commands of documents need {missing}");

        List<string> faults = await Stage.RunAsync(page, blocks);

        output.WriteLine($"{page}: {blocks.Length} blocks");
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Fact]
    public void Blocks_that_are_not_run_say_a_true_reason_and_are_well_formed()
    {
        Block[] blocks = [.. Block.Pages.SelectMany(Block.Of).Where(static block => block.NotRun is not null)];
        output.WriteLine($"not run: {blocks.Length} of {Block.Pages.SelectMany(Block.Of).Count()} blocks");
        Assert.Equal(Reasons.Keys.Order(), blocks.Select(static block => block.NotRun!).Distinct().Order());
        foreach (Block block in blocks)
        {
            output.WriteLine($"{block.Place}: {block.NotRun}");
            Assert.True(Reasons.TryGetValue(block.NotRun!, out string[]? words), $"{block.Place}: {block.NotRun}");
            Assert.True(words.Any(word => block.Text.Contains(word, StringComparison.Ordinal)), block.Place);
            if (block.Language == "sh")
            {
                Assert.Equal("", SyntaxErrors(block.Text));
                Assert.All(CommandLines.Of(block.Text), static words => DeployFiles.Parse(words));
            }
        }
    }

    /// <summary>Also where a sentence or a table names a command, maybe without all that it requires.</summary>
    [Fact]
    public void Every_command_in_a_text_exists()
    {
        var faults = new List<string>();
        foreach (string page in Block.Pages)
        {
            foreach (string code in CommandLines.InText(page))
            {
                RootCommand root = RootCommandLine.Create(new Terminal(TextWriter.Null, TextWriter.Null));
                faults.AddRange(CommandLines.Of(code)
                    .SelectMany(words => root.Parse([.. OtherSpellings.Of(words)]).Errors)
                    .Where(static error => !error.Message.Contains(" required", StringComparison.Ordinal)
                        && !error.Message.StartsWith("Required argument", StringComparison.Ordinal))
                    .Select(error => $"{page}: `{code}`: {error.Message}"));
            }
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void Every_block_has_a_language() => Assert.Empty(Block.Pages.SelectMany(Block.Of)
        .Where(static block => block.Language.Length == 0).Select(static block => block.Place));

    private static string SyntaxErrors(string commands)
    {
        using Process bash = Process.Start(new ProcessStartInfo("bash", ["-n"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardError = true,
        })!;
        bash.StandardInput.Write(commands);
        bash.StandardInput.Close();
        return bash.StandardError.ReadToEnd();
    }
}
