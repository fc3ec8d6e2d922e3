using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Clients;

/// <summary>The name of a field or parameter that carries an identifier, and the names that some servers cannot tell
/// from it: CGI, WSGI and PHP make <c>X_API_KEY</c> of both <c>X-API-Key</c> and <c>X_API_Key</c>, PHP reads
/// <c>client.id</c> as <c>client_id</c>, ASP.NET ignores case in a query. Immutable, thread-safe.</summary>
internal sealed class AlikeName(string name)
{
    private readonly byte[] _folded = [.. Encoding.UTF8.GetBytes(name).Select(Fold)];

    public byte[] Bytes { get; } = Encoding.UTF8.GetBytes(name);

    /// <summary>Whether this is the header field's name, in upper or lower case.</summary>
    public bool IsField(ReadOnlySpan<byte> fieldName) =>
        fieldName.Length == Bytes.Length && Ascii.EqualsIgnoreCase(fieldName, Bytes);

    /// <summary>Whether this is another name that some servers cannot tell from the header field's.</summary>
    public bool IsLookalikeField(ReadOnlySpan<byte> fieldName)
    {
        if (fieldName.Length != _folded.Length)
        {
            return false;
        }
        for (int i = 0; i < fieldName.Length; i++)
        {
            if (Fold(fieldName[i]) != _folded[i])
            {
                return false;
            }
        }
        return !IsField(fieldName);
    }

    /// <summary>Whether this is the parameter's name, or one that some servers cannot tell from it.</summary>
    /// <param name="encoded">The name as it is in the query.</param>
    public bool IsParameter(ReadOnlySpan<byte> encoded)
    {
        if (encoded.Length < _folded.Length)
        {
            return false;
        }
        foreach (byte wanted in _folded)
        {
            if (encoded.IsEmpty || Fold(FormText.Next(encoded, out int taken)) != wanted)
            {
                return false;
            }
            encoded = encoded[taken..];
        }
        return encoded.IsEmpty;
    }

    private static byte Fold(byte b) => b switch
    {
        >= (byte)'A' and <= (byte)'Z' => (byte)(b | 0x20),
        >= (byte)'a' and <= (byte)'z' or >= (byte)'0' and <= (byte)'9' or >= 0x80 => b,
        _ => (byte)'_',
    };
}
