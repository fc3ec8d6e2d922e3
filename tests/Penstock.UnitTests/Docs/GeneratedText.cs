using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>Texts of the repository that are made from the code. A test fails when one differs from what the code says
/// now; with <c>PENSTOCK_ACCEPT=1</c> it writes the text anew instead.</summary>
internal static class GeneratedText
{
    private const string End = "<!-- end of generated -->\n";

    private static bool Accepts => Environment.GetEnvironmentVariable("PENSTOCK_ACCEPT") == "1";

    /// <param name="file">Below the repository's root.</param>
    /// <param name="wanted">The whole text.</param>
    public static void Check(string file, string wanted)
    {
        string path = Path.Combine(Repository.Root, file);
        if (Accepts && wanted != File.ReadAllText(path))
        {
            File.WriteAllText(path, wanted);
        }
        Assert.Equal(wanted, File.ReadAllText(path));
    }

    /// <param name="file">Below the repository's root. What stands between two marks is made from the code.</param>
    /// <param name="parts">The name in <c>&lt;!-- generated: name --&gt;</c>, and what follows it.</param>
    public static void CheckParts(string file, params IEnumerable<(string Name, string Text)> parts)
    {
        string wanted = File.ReadAllText(Path.Combine(Repository.Root, file));
        foreach ((string name, string text) in parts)
        {
            string mark = $"<!-- generated: {name} -->\n";
            int begin = wanted.IndexOf(mark, StringComparison.Ordinal) + mark.Length;
            Assert.True(begin >= mark.Length, $"{file} has no {mark}");
            int end = wanted.IndexOf(End, begin, StringComparison.Ordinal);
            wanted = wanted[..begin] + text + wanted[end..];
        }
        Check(file, wanted);
    }
}
