namespace Penstock.Control.Config;

/// <summary>A mapping with known keys. Asking for a key is what makes it known, so what the binder reads and what it
/// accepts cannot differ.</summary>
internal sealed class Section
{
    private readonly Dictionary<string, ConfigEntry> _entries = [];
    private readonly List<string> _known = [];
    private readonly int _errorsBefore;
    private bool _holdsSecrets;

    public Section(ConfigField at, IReadOnlyList<ConfigEntry> entries)
    {
        At = at;
        _errorsBefore = at.Report.Errors;
        foreach (ConfigEntry entry in entries)
        {
            if (!_entries.TryAdd(Suggestion.Fold(entry.Key), entry) && !entry.Merged)
            {
                at.ReportRepeated(entry, at.Child(_entries[Suggestion.Fold(entry.Key)], entry.Key));
            }
        }
    }

    public ConfigField At { get; }

    /// <summary>No error so far: what was read means what the operator wrote.</summary>
    public bool Sound => At.Report.Errors == _errorsBefore;

    /// <summary>The value of a key; null when it was not written.</summary>
    public ConfigField? this[string key]
    {
        get
        {
            if (!_known.Contains(key))
            {
                _known.Add(key);
            }

            return _entries.TryGetValue(Suggestion.Fold(key), out ConfigEntry? entry) ? At.Child(entry, key) : null;
        }
    }

    /// <summary>Nobody may see the value of this key. A key of this mapping that is not known may be the same one
    /// misspelt, so the values of those are not shown either.</summary>
    public void Hide(string key)
    {
        _holdsSecrets = true;
        if (this[key] is { } field)
        {
            At.Report.Hide(field.Node);
        }
    }

    public bool Has(string key) => this[key] is not null;

    /// <summary>Keys at the top that begin with <c>x-</c> are not read: a place for anchors, as in Compose files.
    /// </summary>
    private bool IsForAnchors(string key) =>
        At.Path.Length == 0 && key.StartsWith("x-", StringComparison.OrdinalIgnoreCase);

    public void ReportUnknown()
    {
        var known = _known.ToDictionary(Suggestion.Fold);
        foreach ((string? folded, ConfigEntry? entry) in _entries)
        {
            if (known.ContainsKey(folded) || IsForAnchors(entry.Key))
            {
                continue;
            }

            if (_holdsSecrets)
            {
                At.Report.Hide(entry.Value);
            }

            At.Report.Error(entry.Location, At.Path, $"unknown key {ConfigValue.Quote(entry.Key)}",
                Suggestion.OrList(entry.Key, _known, "known keys"));
        }
    }
}
