using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;

namespace Penstock.Control.Config;

/// <content>Values of routes.</content>
internal static partial class ConfigValue
{
    /// <summary>The host of a route: a name, <c>*.example.com</c>, or <c>*</c> for any, which is null.</summary>
    public static readonly Syntax<string?> RouteHost = new(TryRouteHost)
    {
        Schema = SchemaPart.String,
        Text = "`example.com`, `*.example.com` or `*`",
        Samples = ["a.example.com", "*.example.com", "*"],
    };

    /// <summary>The path of a route: exact, or a prefix that ends in <c>*</c>.</summary>
    public static readonly Syntax<string> RoutePath = new(TryRoutePath)
    {
        Schema = SchemaPart.Path,
        Text = "`/exact` or `/prefix/*`",
        Samples = ["/v1/*", "/v2/a"],
    };

    /// <summary>A prefix that is removed from a path or added to it.</summary>
    public static readonly Syntax<string> Prefix = new(TryPrefix)
    {
        Schema = SchemaPart.Path,
        Text = "path",
        Samples = ["/v1", "/v1/a"],
    };

    /// <summary>A method, in capitals.</summary>
    public static readonly Syntax<string> Method = new(TryMethod)
    {
        Schema = SchemaPart.String,
        Text = "method",
        Samples = ["GET", "POST"],
    };

    /// <summary>The part of a request that is hashed: <c>address</c>, <c>path</c>, <c>header:NAME</c>,
    /// <c>cookie:NAME</c> or <c>query:NAME</c>.</summary>
    public static readonly Syntax<HashConfig> HashKey = new(TryHashKey,
        static hash => SchemaPart.Quote(hash.Source.ToString().ToLowerInvariant()
            + (hash.Name.Length == 0 ? "" : ":" + hash.Name)))
    {
        Schema = SchemaPart.Pattern("[Aa]ddress|[Pp]ath|([Hh]eader|[Cc]ookie|[Qq]uery):.+"),
        Text = "`address`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`",
        Samples = ["path", "header:X-Tenant", "cookie:c", "query:q"],
    };

    /// <summary>The name of a cookie.</summary>
    public static readonly Syntax<string> CookieName = new(
        static (string text, out string name, out string error) =>
        {
            name = text;
            return IsToken(text) ? Succeed(out error) : Fail($"{Quote(text)} is not a cookie's name", out error);
        })
    {
        Schema = SchemaPart.String,
        Text = "name",
        Samples = ["session", "other"],
    };

    private static bool TryMethod(string text, out string method, out string error)
    {
        method = text.ToUpperInvariant();
        return IsToken(text)
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a method; write GET or POST", out error);
    }

    private static bool TryRouteHost(string text, out string? host, out string error)
    {
        host = text == "*" ? null : text.ToLowerInvariant().TrimEnd('.');
        string name = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
        UriHostNameType kind = Uri.CheckHostName(name);
        if (kind == UriHostNameType.IPv6 && !name.StartsWith('['))
        {
            host = $"[{host}]"; // requests have it in brackets
        }
        return text == "*" || kind != UriHostNameType.Unknown
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a host name; write example.com or *.example.com, without a port", out error);
    }

    private static bool TryRoutePath(string text, out string path, out string error)
    {
        path = text;
        string literal = text.EndsWith('*') ? text[..^1] : text;
        if (!IsPath(literal) || literal.AsSpan().ContainsAny("*?"))
        {
            return Fail($"{Quote(text)} is not a path; write /exact or /prefix/*", out error);
        }
        return RouteRules.PathFault(literal, isPrefix: literal != text) is { } fault
            ? Fail($"{Quote(text)}: {fault}", out error)
            : Succeed(out error);
    }

    private static bool TryPrefix(string text, out string prefix, out string error)
    {
        prefix = text;
        if (!IsPath(text) || text.AsSpan().ContainsAny("*?") || text.Length > RouteRules.MaxPrefixBytes)
        {
            return Fail($"{Quote(text)} is not a prefix; write /v1", out error);
        }
        return RouteRules.PathFault(text, isPrefix: false) is { } fault
            ? Fail($"{Quote(text)}: {fault}", out error)
            : Succeed(out error);
    }

    private static bool TryHashKey(string text, out HashConfig value, out string error)
    {
        value = new();
        (string kind, string? name) = text.IndexOf(':', StringComparison.Ordinal) is >= 0 and int colon
            ? (text[..colon], text[(colon + 1)..]) : (text, null);
        HashSource? source = kind.ToLowerInvariant() switch
        {
            "address" when name is null => HashSource.Address,
            "path" when name is null => HashSource.Path,
            "header" when name is not null && IsToken(name) => HashSource.Header,
            "cookie" when name is not null && IsToken(name) => HashSource.Cookie,
            "query" when !string.IsNullOrEmpty(name) => HashSource.Query,
            _ => null,
        };
        if (source is not { } known)
        {
            return Fail($"{Quote(text)} cannot be hashed; write address, path, header:NAME, cookie:NAME or "
                + "query:NAME", out error);
        }
        value = new() { Source = known, Name = name ?? "" };
        return Succeed(out error);
    }

    /// <summary>The name of a header field in a condition of a route.</summary>
    public static bool TryHeaderName(string text, out string name, out string error)
    {
        name = text;
        if (text.Equals("host", StringComparison.OrdinalIgnoreCase))
        {
            return Fail("Host cannot be a header condition; write host: NAME in the route", out error);
        }

        return IsToken(text) ? Succeed(out error)
            : Fail($"{Quote(text)} is not a header name; write one such as X-Version", out error);
    }

    /// <summary>The name of a query parameter, decoded.</summary>
    public static bool TryParameterName(string text, out string name, out string error)
    {
        name = text;
        return text.Length > 0 ? Succeed(out error) : Fail("a query parameter needs a name", out error);
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
