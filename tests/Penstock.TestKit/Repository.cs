using System.Runtime.CompilerServices;

namespace Penstock.TestKit;

/// <summary>The repository, whose sources and documents some tests read.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    /// <param name="folder">Below the root, such as <c>src</c>.</param>
    /// <returns>The paths of all C# sources in the folder, without those that the build makes.</returns>
    public static IEnumerable<string> Sources(string folder) =>
        Directory.GetFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(static file => !file.Contains("/obj/", StringComparison.Ordinal));

    private static string Find([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
