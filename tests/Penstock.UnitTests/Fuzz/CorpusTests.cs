using Penstock.Fuzz;
using Xunit;

namespace Penstock.UnitTests.Fuzz;

/// <summary>Runs the corpora of the fuzzers with every build, and checks that the fuzzers would find a fault.</summary>
public sealed class CorpusTests
{
    public static TheoryData<string> Targets => [.. FuzzTarget.All.Select(static t => t.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Corpus_breaks_no_invariant(string name)
    {
        FuzzTarget target = FuzzTarget.All.Single(t => t.Name == name);
        IReadOnlyList<byte[]> committed = Corpus.Committed(target);

        Assert.NotEmpty(committed);
        var faults = new List<string>();
        foreach (byte[] input in target.Seeds.Concat(committed))
        {
            try
            {
                target.Run(input);
            }
            catch (Exception fault)
            {
                faults.Add($"{Bytes.Escaped(input)}: {fault}");
            }
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void Fuzzer_finds_what_is_three_steps_away_and_minimises_it()
    {
        var fuzzer = new Fuzzer(new Door(), seed: 1);
        fuzzer.Run([[.. "xxxxxxxxxxxxxxxx"u8]], TimeSpan.FromMinutes(1), executions: 20_000);

        Assert.Equal("open"u8, Assert.Single(fuzzer.Findings).Input);
    }

    /// <summary>Reports how much of a fixed word an input matches, and fails when it matches the whole word.</summary>
    private sealed class Door : FuzzTarget
    {
        public override string Name => "door";
        public override IReadOnlyList<byte[]> Seeds => [];
        public override IReadOnlyList<byte[]> Tokens { get; } = [[.. "e"u8], [.. "n"u8], [.. "p"u8], [.. "o"u8]];
        public override int MaxBytes => 64;

        public override HashSet<string> Run(byte[] input)
        {
            string text = Bytes.Text(input);
            int got = Enumerable.Range(1, 4).LastOrDefault(n => text.Contains("open"[..n], StringComparison.Ordinal));
            Require(got < 4, "closed", $"{text}");
            return [$"{got}"];
        }
    }
}
