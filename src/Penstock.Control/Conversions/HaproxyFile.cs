using System.Text;

namespace Penstock.Control.Conversions;

/// <summary>A line of HAProxy's configuration, split into words.</summary>
internal sealed record HaproxyLine(int Number, IReadOnlyList<string> Words)
{
    public string Text => string.Join(' ', Words);

    public string Word(int index) => index < Words.Count ? Words[index] : "";

    /// <summary>The word after this one, from a position on; empty if there is none.</summary>
    public string After(string word, int from = 0)
    {
        for (int i = from; i + 1 < Words.Count; i++)
        {
            if (Words[i] == word)
            {
                return Words[i + 1];
            }
        }
        return "";
    }

    public bool Begins(params ReadOnlySpan<string> words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            if (Word(i) != words[i])
            {
                return false;
            }
        }
        return true;
    }
}

/// <param name="Kind"><c>global</c>, <c>defaults</c>, <c>frontend</c>, <c>backend</c>, <c>listen</c> or another.
/// </param>
internal sealed record HaproxySection(string Kind, string Name, int Line, List<HaproxyLine> Lines);

/// <summary>Splits a file of HAProxy into sections and lines. Words end at blanks; quotes hold a word together, a
/// backslash keeps the next character, and <c>#</c> begins a comment.</summary>
internal static class HaproxyFile
{
    private static readonly string[] Kinds =
    [
        "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "cache",
        "program", "ring", "http-errors", "fcgi-app", "crt-store", "traces",
    ];

    /// <param name="fault">Where and why the text is not in this format.</param>
    public static IReadOnlyList<HaproxySection> Parse(string text, out (int Line, string Why)? fault)
    {
        var sections = new List<HaproxySection>();
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            if (WordsOf(line) is not { } words)
            {
                fault = (number, "a quote is not closed");
                return [];
            }
            if (words.Count == 0)
            {
                continue;
            }
            if (Kinds.Contains(words[0]) && !char.IsWhiteSpace(line[0]))
            {
                sections.Add(new(words[0], words.Count > 1 ? words[1] : "", number, []));
            }
            else if (sections.Count == 0)
            {
                fault = (number, $"'{words[0]}' is in no section, such as 'frontend NAME'");
                return [];
            }
            else
            {
                sections[^1].Lines.Add(new(number, words));
            }
        }
        fault = null;
        return sections;
    }

    private static List<string>? WordsOf(string line)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        bool inside = false;
        for (int i = 0; i < line.Length; i++)
        {
            char c = line[i];
            if (c == '\\' && i + 1 < line.Length)
            {
                word.Append(line[++i]);
                inside = true;
            }
            else if (c is '"' or '\'')
            {
                int end = line.IndexOf(c, i + 1);
                if (end < 0)
                {
                    return null;
                }
                word.Append(line, i + 1, end - i - 1);
                (i, inside) = (end, true);
            }
            else if (c == '#' || char.IsWhiteSpace(c))
            {
                if (inside)
                {
                    words.Add(word.ToString());
                    word.Clear();
                    inside = false;
                }
                if (c == '#')
                {
                    break;
                }
            }
            else
            {
                word.Append(c);
                inside = true;
            }
        }
        return inside ? [.. words, word.ToString()] : words;
    }
}
