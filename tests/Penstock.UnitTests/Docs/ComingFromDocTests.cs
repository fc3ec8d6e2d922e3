using System.Text.RegularExpressions;
using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>What docs/coming-from.md has a row for, the converter must not call unknown.</summary>
public sealed partial class ComingFromDocTests
{
    private static readonly string[] Tables = ["nginx", "HAProxy"];

    [Fact]
    public void Directives_of_the_tables_are_converted_or_have_a_hint()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "coming-from.md"));
        int seen = 0;
        foreach (string table in Tables)
        {
            string section = page[page.IndexOf($"\n## {table}\n", StringComparison.Ordinal)..];
            section = section[..section.IndexOf("\n## ", 4, StringComparison.Ordinal)];
            foreach (string cell in section.Split('\n').Where(static line => line.StartsWith("| `",
                StringComparison.Ordinal)).Select(static line => line.Split(" | ")[0]))
            {
                foreach (string words in Code().Matches(cell).Select(static match => match.Groups["text"].Value)
                    .Where(static text => !NotInFiles().IsMatch(text)))
                {
                    seen++;
                    string left = table == "nginx" ? OfNginx(words) : OfHaproxy(words);
                    Assert.False(left.Contains(Conversion.NothingSame, StringComparison.Ordinal), $"{words}: {left}");
                }
            }
        }
        Assert.True(seen > 60, $"only {seen} directives found");
    }

    /// <summary>At the top, in a server, in a location and in an upstream: known in one of them.</summary>
    private static string OfNginx(string words)
    {
        string directive = words.Contains('{', StringComparison.Ordinal) ? words : words + ";";
        const string Pass = "location / { proxy_pass http://127.0.0.1:1; }";
        return Left(Converters.Nginx,
            $"{directive} server {{ {Pass} }}", $"server {{ {directive} {Pass} }}",
            $"server {{ location / {{ {directive} proxy_pass http://127.0.0.1:1; }} }}",
            $"upstream u {{ server 127.0.0.1:1; {directive} }}",
            $"upstream u {{ server 127.0.0.1:1 {words}; }}");
    }

    private static string OfHaproxy(string words)
    {
        const string Rest = "\nfrontend f\n  bind :80\n  default_backend b\nbackend b\n  server s 127.0.0.1:1";
        return Left(Converters.Haproxy, $"global\n  {words}{Rest}", $"{Rest}\n  {words}", $"{Rest} {words}",
            Rest.Replace("\n  default", $"\n  {words}\n  default", StringComparison.Ordinal),
            Rest.Replace(":80", $":80 {words}", StringComparison.Ordinal));
    }

    /// <summary>What is left out in the first place where the directive is known; otherwise at the top.</summary>
    private static string Left(string format, params string[] files)
    {
        string[] all = [.. files.Select(file => string.Join('\n', Converters.Convert(format, "a", file).Left))];
        return Array.Find(all, static left => !left.Contains(Conversion.NothingSame, StringComparison.Ordinal))
            ?? all[0];
    }

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    /// <summary>Commands, and what stands behind a directive.</summary>
    [GeneratedRegex("^(nginx -|haproxy |set server|show |frontend$|ready$|weight$|server$|backend$|…|/)",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NotInFiles();
}
