using System.Diagnostics.CodeAnalysis;

namespace Penstock.Control.Config;

/// <summary>A list; a single value counts as a list of one. Items that a fault made null are left out.</summary>
internal sealed class ListShape<T> : Shape<IReadOnlyList<T>>
{
    private readonly Shape<T> _item;

    [SetsRequiredMembers]
    public ListShape(Shape<T> item)
    {
        _item = item;
        Schema = SchemaPart.AnyOf(item.Schema, $$"""{ "type": "array", "items": {{item.Schema}} }""");
        Text = item.Text + (item.Text.Contains(';', StringComparison.Ordinal) ? "; or a list" : ", or a list");
        Samples = item.Samples;
        Tables = item.Tables;
    }

    /// <summary>The error for an empty list and its hint; null: an empty list is allowed.</summary>
    public (string Message, string? Hint)? Empty
    {
        get;
        init
        {
            field = value;
            Schema = SchemaPart.AnyOf(_item.Schema,
                $$"""{ "type": "array", "items": {{_item.Schema}}, "minItems": {{(MayBeOff ? 0 : 1)}} }""");
        }
    }

    /// <summary>What to write where a mapping was written; null: a list.</summary>
    public string? InsteadOfMapping { get; init; }

    /// <summary>The word <c>off</c> means an empty list; a missing value does not.</summary>
    public bool MayBeOff { get; init; }

    /// <summary>Checks all items together, including those that a fault made null.</summary>
    public Action<IReadOnlyList<(ConfigField At, T? Value)>>? Check { get; init; }

    public override IReadOnlyList<T> Read(ConfigField field, IReadOnlyList<T> otherwise) =>
        [.. Pairs(field).Select(static pair => pair.Value)];

    public override Shape Item => _item;

    /// <summary>The items with their places.</summary>
    public IReadOnlyList<(ConfigField At, T Value)> Pairs(ConfigField field)
    {
        if (MayBeOff && field.Is("off", "false"))
        {
            return [];
        }
        IReadOnlyList<ConfigField> items = field.Items(InsteadOfMapping);
        if (Empty is { } fault && items.Count == 0
            && (field.Node is EmptyNode || (field.Node is SequenceNode && !MayBeOff)))
        {
            field.Error(fault.Message, fault.Hint);
        }
        List<(ConfigField At, T? Value)> pairs = [.. items.Select(item => (item, _item.Read(item, default!)))];
        Check?.Invoke(pairs);
        return [.. pairs.Where(static pair => pair.Value is not null).Select(static pair => (pair.At, pair.Value!))];
    }

    public override string? Print(IReadOnlyList<T> value) =>
        value.Count == 1 ? _item.Print(value[0]) : $"[{string.Join(",", value.Select(_item.Print))}]";
}

/// <summary>A mapping of known keys, or a word that means such a mapping.</summary>
internal sealed class Mapping<T> : Shape<T>
{
    private readonly Keys<T> _keys;
    private readonly (string Word, T Value)[] _words;

    [SetsRequiredMembers]
    public Mapping(Keys<T> keys, params (string Word, T Value)[] words)
    {
        (_keys, _words) = (keys, words);
        string reference = $$"""{ "$ref": "#/definitions/{{keys.Name}}" }""";
        string[] quoted = [.. words.Select(static w => SchemaPart.Quote(w.Word)),
            .. words.Any(static w => w.Word == "off") ? ["false"] : Array.Empty<string>()];
        Schema = words.Length == 0 ? reference
            : SchemaPart.AnyOf($$"""{ "enum": [{{string.Join(", ", quoted)}}] }""", reference, SchemaPart.Variable);
        Text = string.Concat(words.Select(static w => $"`{w.Word}`, or ")) + "a mapping";
        Samples = [.. words.Select(static w => w.Word)];
        Tables = [keys];
    }

    /// <summary>The expected form, for messages.</summary>
    public string Expected { get; init; } = "a mapping";

    /// <summary>What to write instead of a single value; null: nobody knows.</summary>
    public Func<string, string?> Instead { get; init; } = static _ => null;

    public override T Read(ConfigField field, T otherwise) => Read(field, otherwise, null);

    /// <param name="check">Checks the mapping and its record.</param>
    public T Read(ConfigField field, T otherwise, Action<Section, T>? check)
    {
        foreach ((string word, T value) in _words)
        {
            if (field.Is(word) || (word == "off" && field.Is("false")))
            {
                return value;
            }
        }
        return field.Section(section =>
        {
            T value = _keys.Read(section, _keys.Default);
            check?.Invoke(section, value);
            return value;
        }, otherwise, Expected, (field.Node is ScalarNode scalar ? Instead(scalar.Text.Trim()) : null)
            ?? $"its keys: {string.Join(", ", _keys.Rows.Select(static row => row.Name))}")!;
    }

    public override string? Print(T value) => _words.Where(w => Equals(w.Value, value))
        .Select(static w => SchemaPart.Quote(w.Word)).FirstOrDefault();
}

/// <summary>A single value as a short form, or a mapping with more keys.</summary>
internal sealed class Either<T> : Shape<T>
    where T : class
{
    private readonly Syntax<T> _scalar;
    private readonly Keys<T> _keys;

    [SetsRequiredMembers]
    public Either(Syntax<T> scalar, Keys<T> keys)
    {
        (_scalar, _keys) = (scalar, keys);
        Schema = SchemaPart.AnyOf(scalar.Schema, $$"""{ "$ref": "#/definitions/{{keys.Name}}" }""");
        Text = scalar.Text + "; or a mapping";
        Samples = scalar.Samples;
        Tables = [keys];
    }

    /// <summary>The name of the value in messages, if it is not its key.</summary>
    public string? Name { get; init; }

    /// <summary>The expected form, for messages; null: a value.</summary>
    public string? Expected { get; init; }

    /// <summary>True if the record that was read from the mapping can be used.</summary>
    public Func<T, bool> Usable { get; init; } = static _ => true;

    public override T Read(ConfigField field, T otherwise)
    {
        ConfigField named = Name is { } name ? field with { Name = name } : field;
        if (Expected is null ? field.Node is not MappingNode : field.Node is ScalarNode)
        {
            return named.Parse(_scalar.Parse, otherwise)!;
        }
        T? value = named.Section(section => _keys.Read(section, _keys.Default), expected: Expected ?? "a mapping",
            hint: $"write {_scalar.Samples[0]}, or a mapping with {_keys.Rows[0].Name}");
        return value is not null && Usable(value) ? value : otherwise;
    }

    public override bool HasShortForm => true;

    public override string Canonical(string text) => _scalar.Canonical(text);

    public override string? Print(T value) => _scalar.Print(value);
}

/// <summary>A mapping whose keys are names that the operator chooses.</summary>
internal sealed class NamedShape<T>(Func<ConfigField, T> read) : Shape<IReadOnlyList<(ConfigField At, T Value)>>
{
    public override IReadOnlyList<(ConfigField At, T Value)> Read(
        ConfigField field, IReadOnlyList<(ConfigField At, T Value)> otherwise) =>
        Pairs(field);

    public override bool IsNamed => true;

    /// <summary>The values with their names and places.</summary>
    public IReadOnlyList<(ConfigField At, T Value)> Pairs(ConfigField field)
    {
        List<(ConfigField At, T Value)> pairs = [.. field.Named(Name).Select(entry => (entry, read(entry)))];
        Check?.Invoke(pairs);
        return pairs;
    }

    /// <summary>Checks the names.</summary>
    public Parser<string> Name { get; init; } = ConfigValue.TryName;

    /// <summary>Checks all values together.</summary>
    public Action<IReadOnlyList<(ConfigField At, T Value)>>? Check { get; init; }
}

/// <summary>The name of something that is defined elsewhere in the file, see <see cref="Report.Names"/>.</summary>
internal sealed class Reference : Shape<string>
{
    private readonly string _what;

    [SetsRequiredMembers]
    public Reference(string what)
    {
        _what = what;
        Schema = SchemaPart.String;
        Text = $"name of {(what[0] is 'u' ? "an" : "a")} {what}";
    }

    public override string Read(ConfigField field, string otherwise) =>
        field.Parse(ConfigValue.Reference(_what, field.Report.Names(_what)), otherwise);
}

/// <summary>A value that may be missing, as null.</summary>
internal sealed class Optional<T> : Shape<T?>
    where T : struct
{
    private readonly Shape<T> _value;

    [SetsRequiredMembers]
    public Optional(Shape<T> value)
    {
        _value = value;
        (Schema, Text, Samples) = (value.Schema, value.Text, value.Samples);
    }

    public override T? Read(ConfigField field, T? otherwise) => _value.Read(field, otherwise ?? default);

    public override string Canonical(string text) => _value.Canonical(text);

    public override string? Print(T? value) => value is { } written ? _value.Print(written) : null;
}
