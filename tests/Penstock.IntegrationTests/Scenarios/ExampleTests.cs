using System.Runtime.CompilerServices;
using Penstock.Control.Config;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

public sealed class ExampleTests
{
    public static TheoryData<string> Files() => [.. Directory.GetFiles(Root("examples"))];

    [Theory]
    [MemberData(nameof(Files))]
    public void Example_passes_check_without_a_word(string file)
    {
        ConfigResult result = ConfigLoader.Load(file, static name => name == "PENSTOCK_TOKEN" ? "secret" : null);
        Assert.Empty(result.Diagnostics);
        Assert.NotNull(result.Config);
    }

    private static string Root(string folder, [CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", folder));
}
