using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Smoke;

/// <summary>The two forms of the program: compiled at runtime (JIT), and compiled ahead of time as a native program.
/// </summary>
public static class Flavour
{
    /// <summary>Names the native program to test.</summary>
    private const string Variable = "PENSTOCK_NATIVE";

    public static TheoryData<string> All => ["just-in-time", "native"];

    /// <summary>The native program if the variable names one, otherwise the built one.</summary>
    public static string Preferred => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 }
        ? Program("native") : PenstockProcess.Program;

    /// <summary>Its program; the test is skipped when there is none.</summary>
    public static string Program(string flavour)
    {
        if (flavour != "native")
        {
            return PenstockProcess.Program;
        }

        string? native = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(native), $"${Variable} is not set to a native program, which this makes: "
            + "dotnet publish src/Penstock -c Release -r linux-x64 -o DIR");
        Assert.True(File.Exists(native), $"${Variable}: there is no file {native}");
        return Path.GetFullPath(native!);
    }
}
