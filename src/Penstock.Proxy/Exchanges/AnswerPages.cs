using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Exchanges;

/// <summary>Body and header fields of Penstock's answers with one status. Immutable.</summary>
internal sealed class AnswerPage
{
    public required (byte[] Name, AnswerTemplate Value)[] Fields { get; init; }

    /// <summary>The body; null: Penstock's JSON body.</summary>
    public AnswerTemplate? Body { get; init; }
    public byte[] ContentType { get; init; } = [];

    public bool Sets(ReadOnlySpan<byte> name)
    {
        foreach ((byte[] set, AnswerTemplate _) in Fields)
        {
            if (Ascii.EqualsIgnoreCase(set, name))
            {
                return true;
            }
        }
        return false;
    }
}

/// <summary>Bodies and header fields of Penstock's own answers, by status. Immutable, thread-safe.</summary>
internal sealed class AnswerPages
{
    private readonly Dictionary<int, AnswerPage> _pages = [];

    public AnswerPages(IReadOnlyList<AnswerConfig> configs)
    {
        // The widest range first, so that narrower ones replace it.
        AnswerConfig[] ordered = [.. configs.OrderByDescending(static c => c.LastStatus - c.FirstStatus)];
        AnswerTemplate?[] bodies = [.. ordered.Select(static c => c.Body is null ? null
            : Compile(c.Body, AnswerTemplate.EscapeFor(c.ContentType)))];
        var made = new Dictionary<string, AnswerPage>(StringComparer.Ordinal);
        for (int status = 400; status < 600; status++)
        {
            int[] matching = [.. Enumerable.Range(0, ordered.Length)
                .Where(i => ordered[i].FirstStatus <= status && status <= ordered[i].LastStatus)];
            if (matching.Length == 0)
            {
                continue;
            }
            string key = string.Join(',', matching);
            if (!made.TryGetValue(key, out AnswerPage? page))
            {
                int body = Array.FindLastIndex(matching, i => bodies[i] is not null);
                page = new AnswerPage
                {
                    Fields = [.. FieldsOf(matching.Select(i => ordered[i]))],
                    Body = body < 0 ? null : bodies[matching[body]],
                    ContentType = body < 0 ? [] : Encoding.ASCII.GetBytes(ordered[matching[body]].ContentType),
                };
                made.Add(key, page);
            }
            _pages.Add(status, page);
        }
    }

    public AnswerPage? For(int status) => _pages.Count == 0 ? null : _pages.GetValueOrDefault(status);

    private static IEnumerable<(byte[] Name, AnswerTemplate Value)> FieldsOf(IEnumerable<AnswerConfig> configs)
    {
        List<HeaderField> fields = [];
        foreach (AnswerConfig config in configs)
        {
            fields.RemoveAll(wide => config.Fields.Any(narrow =>
                narrow.Name.Equals(wide.Name, StringComparison.OrdinalIgnoreCase)));
            fields.AddRange(config.Fields);
        }
        return fields.Select(static f => (Encoding.ASCII.GetBytes(f.Name), Compile(f.Value, AnswerEscape.Field)));
    }

    private static AnswerTemplate Compile(string text, AnswerEscape escape)
    {
        string? fault = AnswerTemplate.Parse(text, escape, out AnswerTemplate template);
        return fault is null ? template : throw new ArgumentException(fault, nameof(text));
    }
}
