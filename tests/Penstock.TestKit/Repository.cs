using System.Runtime.CompilerServices;

namespace Penstock.TestKit;

/// <summary>The repository, whose sources and documents some tests read.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    private static string Find([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
