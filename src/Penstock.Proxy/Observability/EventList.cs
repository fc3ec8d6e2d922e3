using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>The events of one assembly: number, name in the log, and meaning. docs/operating.md lists them all; a test
/// checks that numbers and names are unique over all assemblies. Not thread-safe: fill it in static
/// initializers.</summary>
public sealed class EventList
{
    private readonly List<(EventId Event, string Meaning)> _all = [];

    /// <summary>All events, in the order of their addition.</summary>
    public IReadOnlyList<(EventId Event, string Meaning)> All => _all;

    /// <param name="word">The event's name, by which operators filter and alert.</param>
    /// <param name="meaning">A sentence, in Markdown.</param>
    public EventId Add(int id, string word, string meaning)
    {
        var added = new EventId(id, word);
        _all.Add((added, meaning));
        return added;
    }
}
