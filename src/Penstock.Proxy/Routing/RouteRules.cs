using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>Checks of a route for the configuration reader. A fault is one line, "what is wrong; what to write
/// instead"; null means no fault. Pure.</summary>
public static class RouteRules
{
    /// <summary>Bytes of all fields that a route sets and adds in one direction. Together with the largest head they
    /// must fit into a loop's scratch memory.</summary>
    public const int MaxHeaderBytes = 8 * 1024;

    /// <summary>Maximum length of a prefix of <c>rewrite</c>, in bytes.</summary>
    public const int MaxPrefixBytes = 1024;

    private const int MaxNameBytes = 256;

    /// <summary>Checks a path, or the part of it before the star. All servers must read it alike; otherwise it could
    /// never match, because Penstock rejects a request whose readings lead to different routes.</summary>
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

    /// <summary>Checks whether a route may change fields of this name.</summary>
    /// <param name="isSet">The change is <c>set</c>, not <c>add</c> or <c>remove</c>.</param>
    public static string? HeaderNameFault(string name, bool ofResponse, bool isSet)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        if (!Grammar.IsToken(bytes) || bytes.Length > MaxNameBytes)
        {
            return "this is not a header name; write one such as X-Version";
        }
        FieldName known = FieldNames.Of(bytes);
        if (known == FieldName.Host && !ofResponse)
        {
            return isSet ? null : "a request has exactly one Host; use 'set'";
        }
        return !FieldNames.IsEditable(known) || name.StartsWith("Proxy-", StringComparison.OrdinalIgnoreCase)
            ? "Penstock writes this field itself, or drops it; framing and forwarding depend on it"
            : null;
    }

    /// <summary>Checks the value of a field that a route sets or adds.</summary>
    public static string? HeaderValueFault(string name, string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        if (bytes.AsSpan().ContainsAnyExcept(Grammar.FieldValue) || !Ascii.IsValid(bytes))
        {
            return "a header value may have only visible ASCII characters and spaces";
        }
        return FieldNames.Of(Encoding.UTF8.GetBytes(name)) == FieldName.Host && !Grammar.IsAuthority(bytes)
            ? "this is not a host; write example.com or example.com:8080" : null;
    }
}
