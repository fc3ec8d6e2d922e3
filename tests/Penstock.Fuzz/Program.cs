using System.Diagnostics;
using System.Globalization;
using Penstock.Fuzz;

const string Usage = """
    usage: Penstock.Fuzz TARGET... [--cpu-minutes N] [--seed N] [--corpus DIR] [--findings DIR]
      TARGET          request-head, response-head, chunked-body, proxy-protocol, path, identity, csv,
                      config-yaml, config-json;
                      the start of a name stands for all that begin so
      --cpu-minutes   for each target (default 1)
      --seed          of the random choices (default: another one each time)
      --corpus        a folder with more entries; what was learned is written there
      --findings      where inputs that broke something are written (default: here)
    """ + "\n" + Afl.Usage;

if (Afl.Run(args) is { } code)
{
    return code;
}
var names = new List<string>();
var options = new Dictionary<string, string>(StringComparer.Ordinal);
for (int i = 0; i < args.Length; i++)
{
    if (!args[i].StartsWith("--", StringComparison.Ordinal))
    {
        names.Add(args[i]);
    }
    else if (i + 1 < args.Length && args[i] is "--cpu-minutes" or "--seed" or "--corpus" or "--findings")
    {
        options[args[i]] = args[++i];
    }
    else
    {
        Console.Error.WriteLine(Usage);
        return 2;
    }
}
FuzzTarget[] targets = [.. FuzzTarget.All
    .Where(t => names.Exists(n => t.Name.StartsWith(n, StringComparison.Ordinal)))];
string minutesText = options.GetValueOrDefault("--cpu-minutes", "1");
string seedText = options.GetValueOrDefault("--seed", Random.Shared.Next().ToString(CultureInfo.InvariantCulture));
if (targets.Length == 0
    || !double.TryParse(minutesText, NumberStyles.Float, CultureInfo.InvariantCulture, out double minutes)
    || !int.TryParse(seedText, NumberStyles.Integer, CultureInfo.InvariantCulture, out int seed))
{
    Console.Error.WriteLine(Usage);
    return 2;
}

int found = 0;
foreach (FuzzTarget target in targets)
{
    found += Run(target);
}
return found == 0 ? 0 : 1;

int Run(FuzzTarget target)
{
    Console.WriteLine($"{target.Name}: seed {seed}, {minutes} CPU minutes");
    var fuzzer = new Fuzzer(target, seed);
    string? folder = options.GetValueOrDefault("--corpus");
    IEnumerable<byte[]> entries = [.. target.Seeds, .. Corpus.Committed(target)];
    if (folder is not null)
    {
        entries = entries.Concat(Corpus.Read(folder, target));
    }

    long start = Stopwatch.GetTimestamp();
    using (new Watch(fuzzer, input => Save(target, "hang", input)))
    {
        fuzzer.Run(entries, TimeSpan.FromMinutes(minutes));
    }
    double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
    if (folder is not null)
    {
        fuzzer.Corpus.Write(folder, target);
    }
    foreach (Finding finding in fuzzer.Findings)
    {
        Console.WriteLine($"  FINDING {Fuzzer.Describe(finding)}");
        Save(target, finding.Kind, finding.Input);
    }
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {fuzzer.Executions} executions, "
        + $"{fuzzer.Executions / seconds:F0}/s, corpus {fuzzer.Corpus.Entries.Count} entries for "
        + $"{fuzzer.Corpus.Words} words, {fuzzer.Findings.Count} findings"));
    return fuzzer.Findings.Count;
}

void Save(FuzzTarget target, string kind, byte[] input)
{
    string folder = options.GetValueOrDefault("--findings", ".");
    Directory.CreateDirectory(folder);
    string word = string.Concat(kind.Where(char.IsAsciiLetterOrDigit).Take(40));
    string file = Path.Combine(folder, $"{target.Name}-{word}.bin");
    File.WriteAllBytes(file, input);
    Console.WriteLine($"  written to {file}");
}
