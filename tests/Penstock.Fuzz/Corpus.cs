using System.Text;
using Penstock.TestKit;

namespace Penstock.Fuzz;

/// <summary>For every word that an input has produced, the shortest input that produces it.</summary>
internal sealed class Corpus
{
    /// <summary>Longer entries are not saved, because people read the committed files.</summary>
    private const int MaxWrittenBytes = 300;

    private readonly Dictionary<string, byte[]> _best = new(StringComparer.Ordinal);
    private byte[][]? _entries;

    /// <summary>Shortest first.</summary>
    public IReadOnlyList<byte[]> Entries =>
        _entries ??= [.. _best.Values.Distinct().OrderBy(static e => e.Length)];

    public int Words => _best.Count;

    public void Add(byte[] input, HashSet<string> words)
    {
        foreach (string word in words)
        {
            if (!_best.TryGetValue(word, out byte[]? best) || input.Length < best.Length)
            {
                _best[word] = input;
                _entries = null;
            }
        }
    }

    /// <summary>The committed entries of a target, one escaped line each.</summary>
    public static IReadOnlyList<byte[]> Committed(FuzzTarget target)
    {
        using Stream? stream = typeof(Corpus).Assembly.GetManifestResourceStream(target.Name + ".txt");
        if (stream is null)
        {
            return [];
        }
        using var reader = new StreamReader(stream);
        return Parse(reader.ReadToEnd());
    }

    public static IReadOnlyList<byte[]> Read(string folder, FuzzTarget target)
    {
        string file = Path.Combine(folder, target.Name + ".txt");
        return File.Exists(file) ? Parse(File.ReadAllText(file)) : [];
    }

    /// <summary>Writes a small set of entries that produces all words.</summary>
    public void Write(string folder, FuzzTarget target)
    {
        var covered = new HashSet<string>(StringComparer.Ordinal);
        var kept = new List<string>();
        foreach (byte[] entry in Entries.Where(static e => e.Length <= MaxWrittenBytes).Reverse())
        {
            HashSet<string> words = target.Run(entry);
            if (!words.IsSubsetOf(covered))
            {
                covered.UnionWith(words);
                kept.Add(Bytes.Escaped(entry));
            }
        }
        Directory.CreateDirectory(folder);
        File.WriteAllLines(Path.Combine(folder, target.Name + ".txt"),
            kept.Order(StringComparer.Ordinal), new UTF8Encoding(false));
    }

    private static byte[][] Parse(string lines) =>
        [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l => Bytes.Of(l))];
}
