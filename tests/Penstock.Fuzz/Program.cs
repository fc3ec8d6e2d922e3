using System.Diagnostics;
using System.Text.RegularExpressions;
using Penstock.Fuzz;

// dotnet run --project tests/Penstock.Fuzz -c Release -- [--minutes N] [--seed N] [target…]
double minutes = Option("--minutes", 1);
int seed = (int)Option("--seed", Random.Shared.Next());
string[] names = [.. args.Where((a, i) => !a.StartsWith('-') && (i == 0 || !args[i - 1].StartsWith('-')))];
int findings = 0;
foreach (FuzzTarget target in FuzzTarget.All.Where(t => names.Length == 0 || names.Contains(t.Name)))
{
    var fuzzer = new Fuzzer(target, seed);
    var process = Process.GetCurrentProcess();
    TimeSpan start = process.TotalProcessorTime;
    var watch = Stopwatch.StartNew();
    var finding = fuzzer.Run(() => watch.Elapsed.TotalMinutes < minutes);
    process.Refresh();
    double cpuMinutes = (process.TotalProcessorTime - start).TotalMinutes;
    Console.WriteLine($"{target.Name}: seed {seed}, {fuzzer.Runs} runs, "
        + $"{fuzzer.Runs / watch.Elapsed.TotalSeconds:F0}/s, {cpuMinutes:F1} CPU minutes, corpus {fuzzer.CorpusSize}");
    if (finding is { } found)
    {
        findings++;
        string text = System.Text.Encoding.Latin1.GetString(found.Input);
        Console.WriteLine($"FINDING: {found.Cause}\n{Regex.Escape(text)}\n{Convert.ToHexString(found.Input)}");
    }
}
return findings == 0 ? 0 : 1;

double Option(string name, double otherwise)
{
    int at = Array.IndexOf(args, name);
    return at < 0 ? otherwise : double.Parse(args[at + 1], System.Globalization.CultureInfo.InvariantCulture);
}
