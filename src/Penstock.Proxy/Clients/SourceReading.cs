using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <summary>The identifiers of one source, of which there should be one. A parameter is read as servers do: by
/// <c>&amp;</c>, by <c>;</c> as well, and under names that some of them cannot tell apart.</summary>
internal ref struct SourceReading(ClientIdentifier identifier, Span<byte> room)
{
    /// <summary>Values of one source that are looked up. With more of them the request is ambiguous: an unbounded list
    /// of keys to hash would cost more than the request.</summary>
    private const int MaxValues = 32;

    private readonly Span<byte> _room = room;
    private bool _differ;
    private int _count;

    /// <summary>Empty when there is none.</summary>
    public ReadOnlySpan<byte> First { get; private set; }

    /// <summary>The field of the first; empty for a parameter.</summary>
    public Slice Field { get; private set; }

    /// <summary>One of them is a known client, with what it is called.</summary>
    public bool Known { get; private set; }
    public ReadOnlySpan<byte> Name { get; private set; }
    public RegisteredClient? Client { get; private set; }
    public bool Exempt { get; private set; }

    public readonly bool Ambiguous => (Known && _differ) || _count > MaxValues;

    public void Read(IdentityKind kind, AlikeName name, RequestHead request, ReadOnlySpan<byte> head)
    {
        if (kind == IdentityKind.Query)
        {
            ReadQuery(request.Query.Of(head), name);
            return;
        }
        foreach (ref readonly Field field in request.Fields)
        {
            if (name.IsField(field.Name.Of(head)))
            {
                Add(field.Value.Of(head), field.Value, mustCopy: false);
            }
        }
    }

    /// <summary>Moves the first out of the way of the next source.</summary>
    public readonly ReadOnlySpan<byte> KeepFirst()
    {
        if (!First.Overlaps(_room))
        {
            return First;
        }
        First.CopyTo(_room);
        return _room[..First.Length];
    }

    private void ReadQuery(ReadOnlySpan<byte> query, AlikeName name)
    {
        var parameters = new QueryParameters(query);
        while (parameters.MoveNext())
        {
            AddParameter(parameters, name);
            if (!parameters.Pair.Contains((byte)';'))
            {
                continue;
            }
            var parts = new QueryParameters(parameters.Pair, (byte)';');
            while (parts.MoveNext())
            {
                AddParameter(parts, name);
            }
        }
    }

    private void AddParameter(QueryParameters at, AlikeName name)
    {
        if (!name.IsParameter(at.Name))
        {
            return;
        }
        bool encoded = FormText.IsEncoded(at.Value);
        ReadOnlySpan<byte> value = FormText.Decode(at.Value, _room[(2 * ClientIdentifier.MaxIdBytes)..]);
        Add(Trim(value.IsEmpty ? at.Value : value), default, mustCopy: encoded && !value.IsEmpty);
    }

    /// <summary>Many servers trim values, or end them at a zero; no id begins or ends so.</summary>
    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> value)
    {
        int start = value.IndexOfAnyExceptInRange((byte)0, (byte)' ');
        return start < 0 ? default : value[start..(value.LastIndexOfAnyExceptInRange((byte)0, (byte)' ') + 1)];
    }

    /// <param name="mustCopy">The next one will be where this one is.</param>
    private void Add(ReadOnlySpan<byte> id, Slice field, bool mustCopy)
    {
        if (id.IsEmpty || (!First.IsEmpty && id.SequenceEqual(First)) || ++_count > MaxValues)
        {
            return;
        }
        if (First.IsEmpty)
        {
            if (mustCopy)
            {
                id.CopyTo(_room[ClientIdentifier.MaxIdBytes..]);
                id = _room.Slice(ClientIdentifier.MaxIdBytes, id.Length);
            }
            First = id;
            Field = field;
        }
        else
        {
            _differ = true;
        }
        if (!Known && identifier.TryKnow(ref id, out RegisteredClient? client, out bool exempt))
        {
            (Known, Client, Exempt) = (true, client, exempt);
            Name = id;
        }
    }
}
