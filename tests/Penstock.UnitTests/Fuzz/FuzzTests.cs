using Penstock.Fuzz;
using Xunit;

namespace Penstock.UnitTests.Fuzz;

/// <summary>A short run of every fuzzer, always the same; long ones are for the command line.</summary>
public sealed class FuzzTests
{
    [Theory]
    [InlineData("request", 20_000)]
    [InlineData("response", 20_000)]
    [InlineData("chunked", 40_000)]
    [InlineData("config", 1_000)]
    public void Target_keeps_its_promises(string name, int runs)
    {
        FuzzTarget target = FuzzTarget.All.Single(t => t.Name == name);
        var fuzzer = new Fuzzer(target, seed: 1);
        var finding = fuzzer.Run(() => fuzzer.Runs < runs);
        Assert.True(finding is null,
            $"{finding?.Cause}\n{System.Text.Encoding.Latin1.GetString(finding?.Input ?? [])}");
        Assert.True(fuzzer.CorpusSize > target.Seeds.Count, "nothing new was ever found: the fuzzer is blind");
    }
}
