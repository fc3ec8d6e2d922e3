using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>The events of one assembly: their numbers, their words in the log, and what each tells. docs/operating.md
/// shows them all; a test holds numbers and words to be unique over all assemblies.</summary>
public sealed class EventList
{
    private readonly List<(EventId Event, string Meaning)> _all = [];

    public IReadOnlyList<(EventId Event, string Meaning)> All => _all;

    /// <param name="word">As operators see it, and filter and alert by.</param>
    /// <param name="meaning">A sentence, in Markdown.</param>
    public EventId Add(int id, string word, string meaning)
    {
        var added = new EventId(id, word);
        _all.Add((added, meaning));
        return added;
    }
}
