using System.Diagnostics;
using Penstock.TestKit;

namespace Penstock.Fuzz;

/// <param name="Kind">Two inputs with the same kind have the same fault.</param>
internal sealed record Finding(string Kind, string Message, byte[] Input);

/// <summary>Runs one target for some time. The target's behaviour guides it: an input that produces a new word is added
/// to the corpus.</summary>
internal sealed class Fuzzer(FuzzTarget target, int seed)
{
    private const int MaxFindings = 10;
    private const int MinimiseRuns = 20_000;
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(2);

    private readonly Random _random = new(seed);
    private readonly List<Finding> _findings = [];
    private volatile byte[] _current = [];

    public Corpus Corpus { get; } = new();
    public IReadOnlyList<Finding> Findings => _findings;
    public long Executions { get; private set; }

    /// <summary>The running input, which <see cref="Watch"/> saves if it does not end.</summary>
    public byte[] Current => _current;

    /// <param name="cpuTime">How much processor time of the process it may use.</param>
    public void Run(IEnumerable<byte[]> entries, TimeSpan cpuTime, long executions = long.MaxValue)
    {
        TimeSpan end = Environment.CpuUsage.TotalTime + cpuTime;
        foreach (byte[] entry in entries)
        {
            Try(entry);
        }
        var mutator = new Mutator(_random, target.Tokens, target.MaxBytes);
        while (_findings.Count < MaxFindings && Executions < executions
            && (Executions % 256 != 0 || Environment.CpuUsage.TotalTime < end))
        {
            Try(mutator.Mutate(Pick(), Pick()));
        }
    }

    private void Try(byte[] input)
    {
        if (Fault(input, out HashSet<string> words) is not { } finding)
        {
            Corpus.Add(input, words);
        }
        else if (_findings.TrueForAll(f => f.Kind != finding.Kind))
        {
            _findings.Add(Minimise(finding));
        }
    }

    /// <summary>The fault that an input shows; null if there is none.</summary>
    private Finding? Fault(byte[] input, out HashSet<string> words)
    {
        Executions++;
        _current = input;
        words = [];
        long start = Stopwatch.GetTimestamp();
        try
        {
            words = target.Run(input);
        }
        catch (InvariantException broken)
        {
            return new Finding(broken.Invariant, broken.Message, input);
        }
        catch (Exception thrown)
        {
            string at = thrown.StackTrace?.Split('\n').FirstOrDefault() ?? "";
            return new Finding(thrown.GetType().Name + at, thrown.ToString(), input);
        }
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        return elapsed > Slow ? new Finding("slow", $"took {elapsed}", input) : null;
    }

    /// <summary>Removes parts that are not needed for the fault, in smaller and smaller pieces.</summary>
    private Finding Minimise(Finding finding)
    {
        long last = Executions + MinimiseRuns;
        for (int piece = finding.Input.Length / 2; piece > 0 && finding.Kind != "slow"; piece /= 2)
        {
            for (int at = 0; at + piece <= finding.Input.Length && Executions < last;)
            {
                byte[] shorter = [.. finding.Input[..at], .. finding.Input[(at + piece)..]];
                if (Fault(shorter, out _) is { } same && same.Kind == finding.Kind)
                {
                    finding = same;
                }
                else
                {
                    at += piece;
                }
            }
        }
        return finding;
    }

    /// <summary>Prefers short inputs, because they are faster and a change has more effect.</summary>
    private byte[] Pick()
    {
        IReadOnlyList<byte[]> entries = Corpus.Entries;
        int index = _random.Next(entries.Count);
        return entries[_random.Next(4) == 0 ? index : Math.Min(index, _random.Next(entries.Count))];
    }

    public static string Describe(Finding finding) =>
        $"{finding.Message}\n  input ({finding.Input.Length} bytes): {Bytes.Escaped(finding.Input)}";
}
