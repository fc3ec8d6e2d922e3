namespace Penstock.Proxy.Configuration;

/// <summary>Which requests go to which upstream, under which limit, and what is changed on their way. A request must
/// meet every condition that is there.</summary>
public sealed record RouteConfig
{
    /// <summary>Exact name, <c>*.example.com</c>, or null for any.</summary>
    public string? Host { get; init; }

    /// <summary>Exact path, or a prefix that ends in <c>*</c>; null for any. <c>/v1/*</c> is also <c>/v1</c>.</summary>
    public string? Path { get; init; }

    /// <summary>Method names; none is any.</summary>
    public IReadOnlyList<string> Methods { get; init; } = [];

    /// <summary>Header fields that the request must have; names without case, values octet by octet.</summary>
    public IReadOnlyList<RouteCondition> Headers { get; init; } = [];

    /// <summary>Parameters that the query must have; compared decoded.</summary>
    public IReadOnlyList<RouteCondition> Query { get; init; } = [];
    public required string Upstream { get; init; }

    /// <summary>Names of the limits that its requests are under; the first that counts by client is for clients without
    /// a setting of their own. Null means <c>default</c>, if there is one; empty means none, not even a registered
    /// client's own.</summary>
    public ValueList<string>? Limits { get; init; }

    /// <summary>Tokens that a request takes from each bucket.</summary>
    public int Cost { get; init; } = 1;
    public RouteTimeoutsConfig Timeouts { get; init; } = new();

    /// <summary>Instead of the upstream's, but for the budget, which is the upstream's for all; null: as the upstream
    /// says.</summary>
    public RetryConfig? Retries { get; init; }
    public RewriteConfig? Rewrite { get; init; }

    /// <summary>Of the request that the backend sees.</summary>
    public HeaderEditsConfig? RequestHeaders { get; init; }

    /// <summary>Of backends' responses; answers of our own stay as they are.</summary>
    public HeaderEditsConfig? ResponseHeaders { get; init; }

    /// <summary>Name in logs and metrics: the operator's, or else what the route matches.</summary>
    public string Name
    {
        get => field ?? Conditions;
        init;
    }

    private string Conditions
    {
        get
        {
            string methods = Methods.Count == 0 ? "" : string.Join(',', Methods) + " ";
            string query = Query.Count == 0 ? ""
                : "?" + string.Join('&', Query.Select(static q => $"{q.Name}={q.Shown}"));
            string headers = string.Concat(Headers.Select(static h => $" {h.Name}:{h.Shown}"));
            return $"{methods}{Host ?? "*"}{Path ?? "/*"}{query}{headers}";
        }
    }
}

/// <summary>A header field or a query parameter that a request must have.</summary>
/// <param name="Value">Null: any value.</param>
public sealed record RouteCondition(string Name, string? Value)
{
    internal string Shown => Value ?? "*";
}

/// <summary>How long to wait on a route; null: as <see cref="TimeoutsConfig"/> says.</summary>
public sealed record RouteTimeoutsConfig
{
    public TimeSpan? Connect { get; init; }
    public TimeSpan? Response { get; init; }
}

/// <summary>The path that the backend sees; the query stays.</summary>
public sealed record RewriteConfig
{
    /// <summary>Taken off the front of the path; the route's path starts with it. Null: nothing.</summary>
    public string? StripPrefix { get; init; }

    /// <summary>Put in front of what is left; starts with a slash and does not end in one. Null: nothing.</summary>
    public string? AddPrefix { get; init; }
}

/// <summary>Changes of a message's header fields.</summary>
public sealed record HeaderEditsConfig
{
    /// <summary>Replaces every field of that name.</summary>
    public IReadOnlyList<HeaderField> Set { get; init; } = [];

    /// <summary>One more field, beside those that are there.</summary>
    public IReadOnlyList<HeaderField> Add { get; init; } = [];

    /// <summary>Names of fields to leave out.</summary>
    public IReadOnlyList<string> Remove { get; init; } = [];
}

public sealed record HeaderField(string Name, string Value);
