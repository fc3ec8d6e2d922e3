namespace Penstock.Proxy.Http1;

/// <summary>The parameters of a query as forms write them: <c>name=value</c>, separated by <c>&amp;</c>. Scans
/// for routes, hashing and identity alike. Pure; allocates nothing.</summary>
internal ref struct QueryParameters(ReadOnlySpan<byte> query, byte separator = (byte)'&')
{
    private ReadOnlySpan<byte> _rest = query;

    /// <summary>As sent.</summary>
    public ReadOnlySpan<byte> Pair { get; private set; }
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>Empty where there is no equals sign.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    public bool MoveNext()
    {
        while (!_rest.IsEmpty)
        {
            int end = _rest.IndexOf(separator);
            Pair = end < 0 ? _rest : _rest[..end];
            _rest = end < 0 ? default : _rest[(end + 1)..];
            if (Pair.IsEmpty)
            {
                continue;
            }
            int equals = Pair.IndexOf((byte)'=');
            Name = equals < 0 ? Pair : Pair[..equals];
            Value = equals < 0 ? default : Pair[(equals + 1)..];
            return true;
        }
        return false;
    }
}

/// <summary>Text of a query, in which <c>%61</c> is a and a plus is a space. A percent sign without two digits stands
/// for itself. Pure.</summary>
internal static class FormText
{
    /// <summary>The byte that a percent sign and two digits stand for.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, out byte b)
    {
        b = 0;
        if (encoded.Length < 3 || encoded[0] != '%' || !Grammar.IsHex(encoded[1], out int high)
            || !Grammar.IsHex(encoded[2], out int low))
        {
            return false;
        }
        b = (byte)((high << 4) | low);
        return true;
    }

    /// <summary>The next byte, and how many bytes of the text it took.</summary>
    public static byte Next(ReadOnlySpan<byte> encoded, out int taken)
    {
        if (TryDecode(encoded, out byte b))
        {
            taken = 3;
            return b;
        }
        taken = 1;
        return encoded[0] == '+' ? (byte)' ' : encoded[0];
    }

    public static bool IsEncoded(ReadOnlySpan<byte> text) => text.ContainsAny((byte)'%', (byte)'+');

    public static bool EqualsDecoded(ReadOnlySpan<byte> encoded, ReadOnlySpan<byte> plain)
    {
        foreach (byte wanted in plain)
        {
            if (encoded.IsEmpty || Next(encoded, out int taken) != wanted)
            {
                return false;
            }
            encoded = encoded[taken..];
        }
        return encoded.IsEmpty;
    }

    /// <returns>The decoded text: itself where nothing is encoded, else in <paramref name="room"/>; empty when there is
    /// no room.</returns>
    public static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> encoded, Span<byte> room)
    {
        if (!IsEncoded(encoded))
        {
            return encoded;
        }
        int written = 0;
        while (!encoded.IsEmpty)
        {
            if (written == room.Length)
            {
                return default;
            }
            room[written++] = Next(encoded, out int taken);
            encoded = encoded[taken..];
        }
        return room[..written];
    }
}
