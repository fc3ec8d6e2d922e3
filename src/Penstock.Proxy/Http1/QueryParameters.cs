namespace Penstock.Proxy.Http1;

/// <summary>Reads the parameters of a query: <c>name=value</c>, separated by <c>&amp;</c>. Routes, hashing and
/// identification all use it. Pure; allocates nothing.</summary>
internal ref struct QueryParameters(ReadOnlySpan<byte> query, byte separator = (byte)'&')
{
    private ReadOnlySpan<byte> _rest = query;

    /// <summary>The present parameter as sent.</summary>
    public ReadOnlySpan<byte> Pair { get; private set; }
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>The value as sent; empty when there is no equals sign.</summary>
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

/// <summary>Decodes text of a query, in which <c>%61</c> is an a and a plus is a space. A percent sign without two hex
/// digits stays as it is. Pure.</summary>
internal static class FormText
{
    /// <summary>Decodes a percent sign and two hex digits to a byte.</summary>
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

    /// <summary>The next decoded byte, and how many bytes of the text it used.</summary>
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

    /// <returns>The decoded text: the text itself when nothing is encoded, else written to <paramref name="room"/>;
    /// empty when it does not fit.</returns>
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
