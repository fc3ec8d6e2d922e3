using System.Runtime.CompilerServices;

namespace Penstock.TestKit;

/// <summary>Where the sources and documents are that some tests read.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    private static string Find([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
