using System.Globalization;
using System.Text;
using Penstock.TestKit;

namespace Penstock.Fuzz;

/// <summary>The part of this program for <c>fuzz.sh</c>: afl-fuzz supplies the inputs, and the instrumented assemblies
/// show it which branches they take.</summary>
internal static class Afl
{
    public const string Usage = """
               Penstock.Fuzz --afl TARGET              inputs from afl-fuzz
               Penstock.Fuzz --files TARGET DIR        seeds and corpus as files, and the words as DIR.dict
               Penstock.Fuzz --lines TARGET DIR        files as lines of a corpus; the longest ones are left out
               Penstock.Fuzz --try TARGET FILE...      runs files, says what breaks
        """;

    private const int MaxWordBytes = 128; // afl-fuzz takes no longer ones
    private const int MaxLineBytes = 300;

    /// <returns>Null if the arguments are not for afl-fuzz.</returns>
    public static int? Run(string[] args) => args switch
    {
        ["--afl", var target] => Feed(target),
        ["--files", var target, var folder] => WriteFiles(Named(target), folder),
        ["--lines", var target, var folder] => WriteLines(target, folder),
        ["--try", var target, .. var files] => Try(Named(target), files),
        _ => null,
    };

    private static FuzzTarget Named(string name) => FuzzTarget.All.Single(t => t.Name == name);

    /// <summary>Lets exceptions through, because afl-fuzz counts them as crashes.</summary>
    private static int Feed(string name)
    {
        FuzzTarget? target = null; // instrumented code may run only once the fuzzer listens
        SharpFuzz.Fuzzer.Run(stream =>
        {
            using var copy = new MemoryStream();
            stream.CopyTo(copy);
            target ??= Named(name);
            byte[] input = copy.ToArray();
            if (input.Length <= target.MaxBytes)
            {
                target.Run(input);
            }
        });
        return 0;
    }

    private static int WriteFiles(FuzzTarget target, string folder)
    {
        Directory.CreateDirectory(folder);
        int number = 0;
        foreach (byte[] input in target.Seeds.Concat(Corpus.Committed(target)).Where(static i => i.Length > 0))
        {
            File.WriteAllBytes(Path.Combine(folder, $"{number++:d4}"), input);
        }
        File.WriteAllLines(folder + ".dict", target.Tokens.Where(static t => t.Length is > 0 and <= MaxWordBytes)
            .Select(static token => $"\"{string.Concat(token.Select(static b => $"\\x{b:x2}"))}\""));
        return 0;
    }

    /// <summary>Into a file for reading, besides what is there: findings of before, and inputs that bring other words
    /// over the same branches. No target is made: the assemblies are instrumented.</summary>
    private static int WriteLines(string target, string folder)
    {
        string file = target + ".txt";
        string[] known = File.Exists(file) ? File.ReadAllLines(file) : [];
        string[] lines = [.. Directory.GetFiles(folder).Select(File.ReadAllBytes)
            .Where(static i => i.Length <= MaxLineBytes).Select(static i => Bytes.Escaped(i))
            .Concat(known).Distinct().Order(StringComparer.Ordinal)];
        File.WriteAllLines(file, lines, new UTF8Encoding(false));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{file}: {lines.Length} inputs"));
        return 0;
    }

    private static int Try(FuzzTarget target, string[] files)
    {
        int broken = 0;
        foreach (string file in files)
        {
            byte[] input = File.ReadAllBytes(file);
            try
            {
                target.Run(input);
            }
            catch (Exception fault)
            {
                broken++;
                Console.WriteLine($"{file}: {fault}\n  {Bytes.Escaped(input)}");
            }
        }
        return broken == 0 ? 0 : 1;
    }
}
