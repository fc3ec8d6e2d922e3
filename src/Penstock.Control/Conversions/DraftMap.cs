namespace Penstock.Control.Conversions;

/// <summary>A mapping of the configuration that is being made. Its keys keep their order. A value is a text, a
/// <see cref="DraftMap"/>, or a list of both.</summary>
internal sealed class DraftMap
{
    private readonly List<KeyValuePair<string, object>> _entries = [];

    public IReadOnlyList<KeyValuePair<string, object>> Entries => _entries;

    public bool IsEmpty => _entries.Count == 0;

    public object? this[string key] => _entries.Find(entry => entry.Key == key).Value;

    /// <summary>Sets a value, or replaces it. Null is ignored.</summary>
    public DraftMap Set(string key, object? value)
    {
        if (value is null)
        {
            return this;
        }
        int index = _entries.FindIndex(entry => entry.Key == key);
        if (index < 0)
        {
            _entries.Add(new(key, value));
        }
        else
        {
            _entries[index] = new(key, value);
        }
        return this;
    }

    /// <summary>Sets a value unless there is one.</summary>
    /// <returns>False if there is another value.</returns>
    public bool TrySet(string key, string value)
    {
        if (this[key] is { } before)
        {
            return before.Equals(value);
        }
        Set(key, value);
        return true;
    }

    /// <summary>The mapping at this key, which is made if it is missing.</summary>
    public DraftMap Map(string key)
    {
        if (this[key] is not DraftMap map)
        {
            Set(key, map = new());
        }
        return map;
    }

    /// <summary>The list at this key, which is made if it is missing.</summary>
    public List<object> List(string key)
    {
        if (this[key] is not List<object> list)
        {
            Set(key, list = []);
        }
        return list;
    }
}
