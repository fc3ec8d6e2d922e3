using System.Text;
using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.Fuzz;
using Penstock.TestKit;
using Penstock.UnitTests.Docs;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>What the binder says of many damaged files. The kinds of remarks are in remarks.txt, so that a change of
/// one shows; and everything it says can be written to a file, for comparing two builds:
/// <c>PENSTOCK_GOLDEN=/tmp/before.txt Penstock.UnitTests -class '*ConfigGoldenTests'</c>.</summary>
public sealed partial class ConfigGoldenTests
{
    private const int Files = 2_500;
    private const int FilesToCompare = 12_000;

    /// <summary>What replaces a piece of a file.</summary>
    private static readonly string[] Words =
    [
        "off", "OFF", "false", "true", "-1", "0", "1", "5", "5s", "0s", "10/s", "[]", "{}", "[ ]", "null", "~", "\"\"",
        "x", "1e9", "${UNSET}", "${UNSET:-y}", "${HOME_DIR}", "999999999999", "unix", "unix:/a", "a:1", "/x", "*",
        "/v1", "/v1/*", "tcp", "http", "auto", "hash", "round_robbin", "p2c", "default", "web", "site", "2s", "25h",
        "101%", "5%", "0.5", "{ a: b }", "[a, b]", "[1, [2]]", "{ capacity: 1, rate: 1/s }", "HEAD", "CONNECT", "429",
        "4xx", "any", "memory", "sqlite:a", "postgres://a@b/c", "10.0.0.0/8", "10.0.0.1/8", "::/0", "header:X",
        "query:y", "cookie:z", "stdout", "Host", "Content-Length", "é", "a b", "[off]", "[401, x]", "200-199", "2xx",
        "0660", "abc", "0123456789abcdef", "127.0.0.1:9801", "0.0.0.0:9801", "gold", "1.2", "010.0.0.1:80", "address",
        "own", "client", "x-a", "$$", "{{status}}", "{{nope}}", "text/html", "<<: *x", "&x", "*x", "5000000", "0.5/s",
        "1000000001",
    ];

    [Fact]
    public void Every_kind_of_remark_is_one_of_the_list()
    {
        string? everything = Environment.GetEnvironmentVariable("PENSTOCK_GOLDEN");
        using StreamWriter? output =
            everything is null ? null : new StreamWriter(everything, false, new UTF8Encoding(false));
        var kinds = new SortedSet<string>(StringComparer.Ordinal);
        foreach ((string file, string text) in Texts(output is null ? Files : FilesToCompare, output is not null))
        {
            ConfigResult result = ConfigLoader.Parse(file, text,
                static name => name is "HOME_DIR" ? "/home/a" : name is "TOKEN" ? "" : null);
            kinds.UnionWith(result.Diagnostics
                .Where(static d => !d.Message.StartsWith("not valid", StringComparison.Ordinal))
                .Select(static d => $"{d.Severity}: {Kind(d.Message)} | {Kind(d.Hint ?? "")}"));
            output?.WriteLine($"# {file}");
            foreach (Diagnostic d in result.Diagnostics)
            {
                output?.WriteLine($"{d.Severity} {d.Line}:{d.Column}+{d.Length} {d.Message} | {Sorted(d.Hint)} | "
                    + $"{d.Path} | {d.SourceLine}");
            }
            output?.WriteLine(result.Config is { } config ? ConfigText.Describe(config) : "");
        }
        GeneratedText.Check("tests/Penstock.UnitTests/Config/remarks.txt", string.Join('\n', kinds) + "\n");
    }

    /// <summary>The order of listed known keys does not depend on the file.</summary>
    private static string? Sorted(string? hint) => hint?.StartsWith("known keys: ", StringComparison.Ordinal) == true
        ? "known keys: " + string.Join(", ", hint["known keys: ".Length..].Split(", ").Order(StringComparer.Ordinal))
        : hint;

    /// <summary>The remark without what it quotes, counts and lists.</summary>
    private static string Kind(string remark) =>
        Listed().Replace(Particular().Replace(remark, "·"), "known ${what}: ·");

    /// <param name="found">With what fuzzing found: its remarks quote so much nonsense that they are of no kind.
    /// </param>
    private static IEnumerable<(string File, string Text)> Texts(int count, bool found)
    {
        List<(string File, string Text)> whole =
        [
            .. Directory.GetFiles(Path.Combine(Repository.Root, "examples")).Order(StringComparer.Ordinal)
                .Select(static f => (Path.GetFileName(f), File.ReadAllText(f))),
            ("a.yaml", ConfigText.Example), ("a.json", ConfigLoaderTests.Json), ("a.yaml", EveryKey.Full),
            ("a.yaml", EveryKey.Flat), ("a.yaml", EveryKey.Full), ("a.yaml", EveryKey.Full), ("a.yaml", EveryKey.Flat),
        ];
        IEnumerable<(string, string)> known = FuzzTarget.All
            .Where(static t => t.Name.StartsWith("config", StringComparison.Ordinal))
            .SelectMany(target => target.Seeds.Concat(found ? Corpus.Committed(target) : []).Select(
                entry => ("a." + target.Name["config-".Length..], Encoding.UTF8.GetString(entry))));
        var random = new Random(11);
        IEnumerable<(string, string)> damaged = Enumerable.Range(0, count).Select(_ => whole[random.Next(whole.Count)])
            .Select(text => (text.File, Damaged(text.Text, random)));
        return whole.Concat(known).Concat(damaged);
    }

    private static string Damaged(string text, Random random)
    {
        for (int times = random.Next(1, 5); times > 0; times--)
        {
            MatchCollection tokens = Token().Matches(text);
            if (tokens.Count == 0)
            {
                return text;
            }
            Match token = tokens[random.Next(tokens.Count)];
            Match other = tokens[random.Next(tokens.Count)];
            string[] lines = text.Split('\n');
            int line = random.Next(lines.Length);
            text = random.Next(9) switch
            {
                0 => Replace(text, token, other.Value),
                1 => Replace(text, token, token.Value.Remove(random.Next(token.Length), 1)),
                2 => Replace(text, token, token.Value.Insert(random.Next(token.Length), "x")),
                3 => string.Join('\n', lines.Where((_, i) => i != line)),
                4 => string.Join('\n', lines.Take(line + 1).Concat(lines.Skip(line))),
                5 => Replace(text, token, token.Value + ": " + Words[random.Next(Words.Length)]),
                _ => Replace(text, token, Words[random.Next(Words.Length)]),
            };
        }
        return text;

        static string Replace(string text, Match at, string with) =>
            text[..at.Index] + with + text[(at.Index + at.Length)..];
    }

    [GeneratedRegex(@"[A-Za-z0-9_./:%*-]+", RegexOptions.None, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Token();

    [GeneratedRegex(@"^.*(?=: expected )|'[^']*'|\{\{.*?\}\}|\b\d[\w.%/-]*|^\S+(?=: )|(?<=write )\S+(?=$| or )",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Particular();

    [GeneratedRegex("known (?<what>keys|limits|upstreams): .*", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000)]
    private static partial Regex Listed();
}
