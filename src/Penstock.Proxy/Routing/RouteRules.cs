using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>What a route may say: checks for whoever reads a configuration. A fault is one line, in the form "what is
/// wrong; what to write instead"; null: none.</summary>
public static class RouteRules
{
    /// <summary>Bytes of all fields that a route sets and adds in one direction: with the largest head they must fit
    /// into a loop's scratch memory.</summary>
    public const int MaxHeaderBytes = 8 * 1024;

    public const int MaxPrefixBytes = 1024;

    private const int MaxNameBytes = 256;

    /// <summary>A path, or the part of one before its star, that all servers read alike. One that they do not could
    /// never match: a request that leads to different routes by different readings is rejected.</summary>
    public static string? PathFault(string path, bool isPrefix)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(path);
        string plain = Encoding.Latin1.GetString(bytes, 0, PathForms.Write(0, bytes, bytes, out _));
        string segments = isPrefix ? plain : plain + "/";
        return plain.AsSpan().ContainsAny("%;\\") || plain.Contains("//", StringComparison.Ordinal)
            || segments.Contains("/./", StringComparison.Ordinal)
            || segments.Contains("/../", StringComparison.Ordinal)
            ? "servers read it in different ways; write it without '//', '.' and '..' segments, ';', '\\' and an "
                + "encoded '/' or '%'"
            : null;
    }

    /// <summary>May a route change fields of this name?</summary>
    /// <param name="isSet">By <c>set</c>, not by <c>add</c> or <c>remove</c>.</param>
    public static string? HeaderNameFault(string name, bool ofResponse, bool isSet)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        if (!Grammar.IsToken(bytes) || bytes.Length > MaxNameBytes)
        {
            return "that is no header name; write one such as X-Version";
        }
        FieldName known = FieldNames.Of(bytes);
        if (known == FieldName.Host && !ofResponse)
        {
            return isSet ? null : "a request has exactly one Host; use 'set'";
        }
        return !FieldNames.IsEditable(known) || name.StartsWith("Proxy-", StringComparison.OrdinalIgnoreCase)
            ? "Penstock writes this field itself, or drops it; framing and forwarding stand on it"
            : null;
    }

    public static string? HeaderValueFault(string name, string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        if (bytes.AsSpan().ContainsAnyExcept(Grammar.FieldValue) || !Ascii.IsValid(bytes))
        {
            return "a header value is made of visible ASCII characters and spaces";
        }
        return FieldNames.Of(Encoding.UTF8.GetBytes(name)) == FieldName.Host && !Grammar.IsAuthority(bytes)
            ? "that is no host; write example.com or example.com:8080" : null;
    }
}
