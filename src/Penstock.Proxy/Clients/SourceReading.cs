using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <summary>Reads the identifiers of one source; a request should have only one. Query parameters are read in all ways
/// that servers do: separated by <c>&amp;</c> and by <c>;</c>, and under names that some servers cannot tell
/// apart.</summary>
internal ref struct SourceReading(ClientIdentifier identifier, Span<byte> room)
{
    /// <summary>At most this many values of one source are looked up. A request with more is ambiguous, because hashing
    /// an unbounded list of keys would cost more than the request.</summary>
    private const int MaxValues = 32;

    private readonly Span<byte> _room = room;
    private bool _differ;
    private int _count;

    /// <summary>The first identifier; empty when there is none.</summary>
    public ReadOnlySpan<byte> First { get; private set; }

    /// <summary>The field value of the first identifier; empty for a parameter.</summary>
    public Slice Field { get; private set; }

    /// <summary>Whether one of the identifiers belongs to a known client.</summary>
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

    /// <summary>Adds an identifier that is not of the request's head.</summary>
    public void Add(ReadOnlySpan<byte> id)
    {
        if (!id.IsEmpty)
        {
            Add(id, default, mustCopy: false);
        }
    }

    /// <summary>Moves the first identifier, so that reading the next source does not overwrite it.</summary>
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

    /// <summary>Many servers trim values or end them at a zero byte. No id begins or ends with such a byte.</summary>
    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> value)
    {
        int start = value.IndexOfAnyExceptInRange((byte)0, (byte)' ');
        return start < 0 ? default : value[start..(value.LastIndexOfAnyExceptInRange((byte)0, (byte)' ') + 1)];
    }

    /// <param name="mustCopy">The next identifier will be written to the same memory.</param>
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
