using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;

namespace Penstock.Control.Config;

/// <content>What routes say.</content>
internal static partial class ConfigValue
{
    /// <summary>The host of a route: a name, <c>*.example.com</c>, or <c>*</c> for any, which is null.</summary>
    public static bool TryRouteHost(string text, out string? host, out string error)
    {
        host = text == "*" ? null : text.ToLowerInvariant().TrimEnd('.');
        var name = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
        var kind = Uri.CheckHostName(name);
        if (kind == UriHostNameType.IPv6 && !name.StartsWith('['))
            host = $"[{host}]"; // as requests write it
        return text == "*" || kind != UriHostNameType.Unknown
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a host name; write example.com or *.example.com, without a port", out error);
    }

    /// <summary>The path of a route: exact, or a prefix that ends in <c>*</c>.</summary>
    public static bool TryRoutePath(string text, out string path, out string error)
    {
        path = text;
        var literal = text.EndsWith('*') ? text[..^1] : text;
        if (!IsPath(literal) || literal.AsSpan().ContainsAny("*?"))
            return Fail($"{Quote(text)} is not a path; write /exact or /prefix/*", out error);
        return RouteRules.PathFault(literal, isPrefix: literal != text) is { } fault
            ? Fail($"{Quote(text)}: {fault}", out error)
            : Succeed(out error);
    }

    /// <summary>What is taken off the front of a path, or put there.</summary>
    public static bool TryPrefix(string text, out string prefix, out string error)
    {
        prefix = text;
        if (!IsPath(text) || text.AsSpan().ContainsAny("*?") || text.Length > RouteRules.MaxPrefixBytes)
            return Fail($"{Quote(text)} is not a prefix; write /v1", out error);
        return RouteRules.PathFault(text, isPrefix: false) is { } fault
            ? Fail($"{Quote(text)}: {fault}", out error)
            : Succeed(out error);
    }

    public static bool TryMethod(string text, out string method, out string error)
    {
        method = text.ToUpperInvariant();
        return IsToken(text)
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a method; write GET or POST", out error);
    }

    /// <summary>The name of a header field that a route looks at.</summary>
    public static bool TryHeaderName(string text, out string name, out string error)
    {
        name = text;
        if (text.Equals("host", StringComparison.OrdinalIgnoreCase))
            return Fail("a header condition cannot be on Host; write host: NAME in the route", out error);
        return IsToken(text) ? Succeed(out error)
            : Fail($"{Quote(text)} is not a header name; write one such as X-Version", out error);
    }

    /// <summary>The name of a query parameter, decoded.</summary>
    public static bool TryParameterName(string text, out string name, out string error)
    {
        name = text;
        return text.Length > 0 ? Succeed(out error) : Fail("a query parameter has a name", out error);
    }

    /// <summary>The name of a header field that a route changes.</summary>
    public static Parser<string> EditedHeader(bool ofResponse, bool isSet) =>
        (string text, out string name, out string error) =>
        {
            name = text;
            return RouteRules.HeaderNameFault(text, ofResponse, isSet) is { } fault
                ? Fail($"{Quote(text)}: {fault}", out error)
                : Succeed(out error);
        };

    /// <summary>A value for a header field of that name.</summary>
    public static Parser<HeaderField> HeaderValue(string name) =>
        (string text, out HeaderField field, out string error) =>
        {
            field = new(name, text);
            return RouteRules.HeaderValueFault(name, text) is { } fault
                ? Fail($"{Quote(text)}: {fault}", out error)
                : Succeed(out error);
        };
}
