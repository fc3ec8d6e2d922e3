using System.Text.RegularExpressions;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Documents;

/// <summary>A fenced block of a document.</summary>
/// <param name="Page">Below the repository's root.</param>
/// <param name="Line">Of its first fence, from one.</param>
/// <param name="Language">The word behind the fence; empty if there is none.</param>
/// <param name="Text">Without the indentation of the fence.</param>
/// <param name="Notes">The HTML comments directly before it, such as <c>not run</c>: what they say.</param>
internal sealed partial record Block(
    string Page, int Line, string Language, string Text, IReadOnlyDictionary<string, string> Notes)
{
    private const int MatchTimeoutMs = 5000;

    public static IReadOnlyList<string> Pages { get; } =
    [
        .. new[] { "README.md", "CONTRIBUTING.md", "deploy/README.md" },
        .. Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Select(static file => Path.GetRelativePath(Repository.Root, file)).Order(StringComparer.Ordinal),
    ];

    public string Place => $"{Page}:{Line}";

    /// <summary>Why it cannot be run here; null if it is run.</summary>
    public string? NotRun => Notes.GetValueOrDefault("not run");

    public int ExitCode => Notes.TryGetValue("exits", out string? code) ? int.Parse(code, null) : 0;

    public static List<Block> Of(string page)
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, page));
        var blocks = new List<Block>();
        for (int i = 0; i < lines.Length; i++)
        {
            if (Fence().Match(lines[i]) is not { Success: true } fence)
            {
                continue;
            }
            string indent = fence.Groups["indent"].Value;
            int end = Array.FindIndex(lines, i + 1, line => line == indent + "```");
            if (end < 0)
            {
                throw new InvalidDataException($"{page}:{i + 1}: the block has no end");
            }
            string text = string.Concat(lines[(i + 1)..end].Select(line =>
                (line.StartsWith(indent, StringComparison.Ordinal) ? line[indent.Length..] : line) + "\n"));
            blocks.Add(new(page, i + 1, fence.Groups["language"].Value, text, NotesBefore(lines, i)));
            i = end;
        }
        return blocks;
    }

    private static Dictionary<string, string> NotesBefore(string[] lines, int fence)
    {
        var notes = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = fence - 1; i >= 0 && Note().Match(lines[i]) is { Success: true } note; i--)
        {
            notes.Add(note.Groups["name"].Value, note.Groups["value"].Value);
        }
        return notes;
    }

    [GeneratedRegex(@"^(?<indent> *)```(?<language>\w*)$", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Fence();

    [GeneratedRegex("^ *<!-- (?<name>(not run|first|exits|output|numbers differ|checked by))(: (?<value>.*))? -->$",
        RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Note();
}
