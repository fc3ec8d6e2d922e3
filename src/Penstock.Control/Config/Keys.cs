using System.Runtime.CompilerServices;

namespace Penstock.Control.Config;

/// <summary>One key of a mapping, with everything that the schema, the reference, the fuzzers and a reload need.
/// </summary>
internal abstract class Key
{
    public required string Name { get; init; }

    public required Shape Shape { get; init; }

    /// <summary>What the key does, in Markdown, as in docs/configuration.md.</summary>
    public required string Description { get; init; }

    /// <summary>The paths of the properties that the key sets.</summary>
    public required IReadOnlyList<string> Properties { get; init; }

    /// <summary>The default in JSON; null: it cannot be written.</summary>
    public string? Default { get; set; }

    /// <summary>The default in words, if <see cref="Default"/> does not say it.</summary>
    public string? DefaultText { get; set; }

    /// <summary>The key is read only at start; a reload does not change it.</summary>
    public bool AtStart { get; set; }

    /// <summary>The mapping is invalid without this key.</summary>
    public bool Required { get; set; }

    /// <summary>Which software has the same default.</summary>
    public string? Origin { get; set; }

    /// <summary>Its value is a secret.</summary>
    public bool Secret { get; set; }

    /// <summary>What other software calls it. The first is what to write instead, such as <c>listen: :8080</c>.
    /// </summary>
    public (string Instead, IReadOnlyList<string> Names) AlsoCalled { get; set; } = ("", []);

    /// <summary>It has an effect only if another key of the mapping, which is before it, has this value.</summary>
    public (string Key, string Value)? OnlyWith { get; set; }

    /// <summary>Its value is a mapping whose keys have their defaults where the file does not have it.</summary>
    public bool HasParts { get; set; }
}

/// <summary>The keys of one mapping.</summary>
internal abstract class KeyTable(string name)
{
    /// <summary>The name of the mapping's definition in the schema and of its table in the reference; empty: the file
    /// itself.</summary>
    public string Name => name;

    public abstract Type Record { get; }

    public abstract IReadOnlyList<Key> Rows { get; }

    /// <summary>This table and those of all mappings that such a mapping may contain, each once.</summary>
    public IReadOnlyList<KeyTable> Reachable()
    {
        List<KeyTable> all = [this];
        for (int i = 0; i < all.Count; i++)
        {
            all.AddRange(all[i].Rows.SelectMany(static row => row.Shape.Tables).Except(all));
        }
        return all;
    }

    /// <summary>The part of the schema that is not about a single key: which keys need or exclude each other.</summary>
    public string? Schema { get; protected set; }
}

/// <summary>The keys of a mapping that is read into a record, in the order of the table.</summary>
/// <param name="name">See <see cref="KeyTable.Name"/>.</param>
/// <param name="standard">The record of an empty mapping; it has all defaults.</param>
internal sealed class Keys<T>(string name, T standard) : KeyTable(name)
{
    private readonly List<Row> _rows = [];
    private readonly List<(string Remedy, string[] Names)> _lacks = [];
    private Action<Section, T>? _check;

    public T Default => standard;

    public override Type Record => typeof(T);

    public override IReadOnlyList<Key> Rows => _rows;

    /// <summary>Adds a key. The calls that follow, up to the next key, are about it.</summary>
    /// <param name="description">See <see cref="Config.Key.Description"/>.</param>
    /// <param name="property">Names of properties, separated by spaces; default: the property that
    /// <paramref name="get"/> reads.</param>
    public Keys<T> Key<TValue>(string key, Shape<TValue> shape, Func<T, TValue> get, Func<T, TValue, T> set,
        string description, [CallerArgumentExpression(nameof(get))] string property = "") => Add(new Row
        {
            Name = key, Shape = shape, Description = description, Properties = PropertiesOf(property),
            Default = get(standard) is { } value ? shape.Print(value) : null,
            Read = (section, record) =>
                section[key] is { } field ? set(record, shape.Read(field, get(record))) : record,
            Differs = (one, other) => !EqualityComparer<TValue>.Default.Equals(get(one), get(other)),
        });

    /// <summary>Adds a key whose value is a mapping.</summary>
    /// <param name="check">Checks the mapping, its record, and this record as far as it has been read.</param>
    public Keys<T> Group<TValue>(string key, Mapping<TValue> shape, Func<T, TValue> get, Func<T, TValue, T> set,
        string description, Action<Section, TValue, T>? check = null,
        [CallerArgumentExpression(nameof(get))] string property = "") => Add(new Row
        {
            Name = key, Shape = shape, Description = description, Properties = PropertiesOf(property),
            Default = shape.Print(get(standard)),
            HasParts = get(standard) is not null && shape.Print(get(standard)) is null,
            Read = (section, record) => section[key] is not { } field ? record
                : set(record, shape.Read(field, get(record), check is null ? null
                    : (inner, read) => check(inner, read, record))),
            Differs = (one, other) => !EqualityComparer<TValue>.Default.Equals(get(one), get(other)),
            Within = (one, other) => get(one) is { } before && get(other) is { } after
                ? ((Keys<TValue>)shape.Tables[0]).ReadAtStart(before, after) : [],
        });

    /// <summary>Adds a key whose value is a mapping that sets properties of this record.</summary>
    public Keys<T> Nested(string key, Keys<T> keys, string description) => Add(new Row
    {
        Name = key, Shape = new Mapping<T>(keys), Description = description, Properties = [], HasParts = true,
        Read = (section, record) => section[key] is { } field
            ? field.Section(inner => keys.Read(inner, record), record)! : record,
    });

    /// <summary>Adds a key with a special method to read it.</summary>
    public Keys<T> Custom(string key, Shape shape, Func<Section, T, T> read, string description,
        params string[] properties) =>
        Add(new Row
        {
            Name = key, Shape = shape, Description = description, Properties = properties, Read = read,
        });

    /// <summary>Adds a key of another table, which also reads it.</summary>
    public Keys<T> Of(Key row, string description, string? defaultText) => Add(new Row
    {
        Name = row.Name, Shape = row.Shape, Description = description, Properties = [], HasParts = row.HasParts,
        OnlyWith = row.OnlyWith, Default = row.Default, DefaultText = defaultText,
        Read = static (_, record) => record,
    });

    /// <summary>Adds a key that is read elsewhere, together with other keys.</summary>
    public Keys<T> Declared(string key, Shape shape, string description, params string[] properties) =>
        Custom(key, shape, static (_, record) => record, description, properties);

    /// <summary>The key is required, always or if <paramref name="when"/> returns true.</summary>
    public Keys<T> Required(Func<Section, bool>? when = null)
    {
        Row row = _rows[^1];
        row.IsMissing = section => (when is null || when(section)) && !section.Has(row.Name);
        (row.Required, row.Default, row.DefaultText) = (true, null, "required");
        return this;
    }

    /// <summary>Sets the text of the default.</summary>
    public Keys<T> DefaultText(string? text, string? json = null)
    {
        (_rows[^1].DefaultText, _rows[^1].Default) = (text, json);
        return this;
    }

    /// <summary>The key is read only at start.</summary>
    public Keys<T> AtStart()
    {
        _rows[^1].AtStart = true;
        return this;
    }

    /// <summary>The value is a secret and is never shown.</summary>
    public Keys<T> Secret()
    {
        _rows[^1].Secret = true;
        return this;
    }

    /// <summary>See <see cref="Config.Key.AlsoCalled"/>.</summary>
    public Keys<T> AlsoCalled(string instead, params string[] names)
    {
        _rows[^1].AlsoCalled = (instead, names);
        return this;
    }

    /// <summary>Keys of other software that Penstock does not have, and what to do instead.</summary>
    public Keys<T> Lacks(string remedy, params string[] names)
    {
        _lacks.Add((remedy, names));
        return this;
    }

    /// <summary>See <see cref="Config.Key.OnlyWith"/>.</summary>
    public Keys<T> OnlyWith(string key, string value)
    {
        _rows[^1].OnlyWith = (key, value);
        return this;
    }

    /// <summary>Names the software that has the same default.</summary>
    public Keys<T> From(string origin)
    {
        _rows[^1].Origin = origin;
        return this;
    }

    /// <summary>Adds a check that runs after this key has been read, before the next key; also if the file does not
    /// have the key.</summary>
    public Keys<T> Then(Action<Section, T> check)
    {
        _rows[^1].Check = check;
        return this;
    }

    /// <summary>Adds a check that runs when all keys have been read.</summary>
    public Keys<T> Finally(Action<Section, T> check)
    {
        _check = check;
        return this;
    }

    /// <summary>See <see cref="KeyTable.Schema"/>.</summary>
    public Keys<T> WithSchema(string schema)
    {
        Schema = schema;
        return this;
    }

    /// <summary>A table with the same keys, except these.</summary>
    public Keys<T> Without(string table, params string[] keys)
    {
        var some = new Keys<T>(table, standard) { _check = _check };
        some._lacks.AddRange(_lacks);
        some._rows.AddRange(_rows.Where(row => !keys.Contains(row.Name)));
        return some;
    }

    /// <summary>Reads a mapping. The section reports keys that the table does not have.</summary>
    /// <param name="record">The values of keys that the mapping does not have.</param>
    public T Read(Section section, T record)
    {
        foreach (Row row in _rows)
        {
            if (row.Secret)
            {
                section.Hide(row.Name);
            }
            if (row.IsMissing?.Invoke(section) == true)
            {
                section.Missing(row.Name, "write " + (row.AlsoCalled.Instead.Length > 0
                    ? row.AlsoCalled.Instead : $"{row.Name}: {row.Shape.Samples[0]}"));
            }
            _ = section[row.Name]; // asking for a key makes it known
            section.Remedy($"write {row.AlsoCalled.Instead}", row.AlsoCalled.Names);
            record = row.Read(section, record);
            row.Check?.Invoke(section, record);
        }
        foreach ((string remedy, string[] names) in _lacks)
        {
            section.Remedy(remedy, names);
        }
        _check?.Invoke(section, record);
        return record;
    }

    /// <summary>The names of changed keys that are read only at start.</summary>
    public IEnumerable<string> ReadAtStart(T before, T after) => _rows.SelectMany(row =>
        row.AtStart && row.Differs(before, after) ? [row.Name]
            : row.Within(before, after).Select(name => $"{row.Name}.{name}"));

    private Keys<T> Add(Row row)
    {
        _rows.Add(row);
        return this;
    }

    /// <summary>The property of an expression: <c>Attempts</c> of <c>r =&gt; r.Attempts</c>.</summary>
    private static string[] PropertiesOf(string expression) => expression.Contains("=>", StringComparison.Ordinal)
        ? [expression[(expression.IndexOf('.', StringComparison.Ordinal) + 1)..].TrimEnd('!')]
        : expression.Split(' ');

    private sealed class Row : Key
    {
        public required Func<Section, T, T> Read { get; init; }
        public Func<T, T, bool> Differs { get; init; } = static (_, _) => false;
        public Func<T, T, IEnumerable<string>> Within { get; init; } = static (_, _) => [];
        public Func<Section, bool>? IsMissing { get; set; }
        public Action<Section, T>? Check { get; set; }
    }
}
