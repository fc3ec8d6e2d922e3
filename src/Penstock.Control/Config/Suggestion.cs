namespace Penstock.Control.Config;

/// <summary>"Did you mean": finds the known word that is nearest to a misspelt one.</summary>
internal static class Suggestion
{
    private const int MaxLength = 64; // no known word is longer, and the distance costs length²

    /// <summary>The question, or null if no known word is near.</summary>
    public static string? For(string word, IEnumerable<string> known)
    {
        string? nearest = Nearest(word, known);
        return nearest is null ? null : $"did you mean '{nearest}'?";
    }

    /// <summary>The question, or a list of all known words.</summary>
    public static string OrList(string word, IReadOnlyCollection<string> known, string heading) =>
        For(word, known) ?? $"{heading}: {string.Join(", ", known)}";

    /// <summary>The known word that is near; null: none is.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        string folded = Fold(word);
        if (folded.Length is 0 or > MaxLength)
        {
            return null;
        }

        return known
            .Select(candidate => (candidate, distance: Distance(folded, Fold(candidate))))
            .Where(c => c.distance <= Math.Max(1, Math.Min(folded.Length, c.candidate.Length) / 3))
            .OrderBy(c => c.distance)
            .Select(c => c.candidate)
            .FirstOrDefault();
    }

    /// <summary>Keys and words are compared without case, <c>-</c> and <c>_</c>.</summary>
    public static string Fold(string word) => word.Replace("-", "", StringComparison.Ordinal)
        .Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        (int[] beforeLast, int[] last) = (new int[b.Length + 1], Enumerable.Range(0, b.Length + 1).ToArray());
        for (int i = 1; i <= a.Length; i++)
        {
            int[] row = new int[b.Length + 1];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                row[j] = Math.Min(replace, 1 + Math.Min(last[j], row[j - 1]));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    row[j] = Math.Min(row[j], beforeLast[j - 2] + 1);
                }
            }
            (beforeLast, last) = (last, row);
        }
        return last[b.Length];
    }
}
