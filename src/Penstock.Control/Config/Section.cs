namespace Penstock.Control.Config;

/// <summary>A mapping with known keys. Asking for a key makes it known, so the keys that are read and the keys that are
/// accepted cannot differ.</summary>
internal sealed class Section
{
    private readonly Dictionary<string, ConfigEntry> _entries = [];
    private readonly List<string> _known = [];
    private readonly Dictionary<string, string> _remedies = [];
    private readonly List<(string Key, string Hint)> _missing = [];
    private readonly int _errorsBefore;
    private readonly bool _hasFaultyValue; // which was reported before, such as a variable that is not set
    private bool _holdsSecrets;

    public Section(ConfigField at, IReadOnlyList<ConfigEntry> entries)
    {
        At = at;
        _errorsBefore = at.Report.Errors;
        _hasFaultyValue = entries.Any(static entry => entry.Value is FaultyNode);
        foreach (ConfigEntry entry in entries)
        {
            if (!_entries.TryAdd(Suggestion.Fold(entry.Key), entry) && !entry.Merged)
            {
                at.ReportRepeated(entry, at.Child(_entries[Suggestion.Fold(entry.Key)], entry.Key));
            }
        }
    }

    public ConfigField At { get; }

    /// <summary>True while this section has no error, so that the read values are those of the operator.</summary>
    public bool Sound => At.Report.Errors == _errorsBefore && _missing.Count == 0 && !_hasFaultyValue;

    /// <summary>The value of a key; null if the file does not have it.</summary>
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

    /// <summary>Hides the value of this key. The values of unknown keys of this mapping are hidden too, because one of
    /// them may be this key, misspelt.</summary>
    public void Hide(string key)
    {
        _holdsSecrets = true;
        if (this[key] is { } field)
        {
            At.Report.Hide(field.Node);
        }
    }

    /// <summary>Sets the hint for unknown keys of these names.</summary>
    public void Remedy(string remedy, IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            _remedies.TryAdd(Suggestion.Fold(name), remedy);
        }
    }

    public bool Has(string key) => this[key] is not null;

    /// <summary>The key is required and not there. <see cref="ReportFaultyKeys"/> reports it, unless a misspelt key
    /// explains why.</summary>
    public void Missing(string key, string hint) => _missing.Add((key, hint));

    /// <summary>Keys at the top that begin with <c>x-</c> are ignored: they are a place for anchors, as in Compose
    /// files.</summary>
    public static bool IsForAnchors(string key) => key.StartsWith("x-", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reports unknown keys and those that are missing.</summary>
    public void ReportFaultyKeys()
    {
        var misspelt = new HashSet<string>(StringComparer.Ordinal);
        var known = _known.ToDictionary(Suggestion.Fold);
        foreach ((string? folded, ConfigEntry? entry) in _entries)
        {
            if (known.ContainsKey(folded) || (At.Path.Length == 0 && IsForAnchors(entry.Key)))
            {
                continue;
            }

            if (_holdsSecrets)
            {
                At.Report.Hide(entry.Value);
            }

            string? remedy = _remedies.GetValueOrDefault(folded);
            if (remedy is null && Suggestion.Nearest(entry.Key, _known) is { } meant)
            {
                misspelt.Add(meant);
            }
            At.Report.Error(entry.Location, At.Path, $"unknown key {ConfigValue.Quote(entry.Key)}",
                remedy ?? Suggestion.OrList(entry.Key, _known, "known keys"));
        }
        foreach ((string key, string hint) in _missing.Where(missing => !misspelt.Contains(missing.Key)))
        {
            At.Error($"missing '{key}'", hint);
        }
    }
}
