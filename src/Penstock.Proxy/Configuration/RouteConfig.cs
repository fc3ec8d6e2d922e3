namespace Penstock.Proxy.Configuration;

/// <summary>Which requests go to which upstream, under which limit, and what is changed on their way. A request must
/// meet every condition that is there.</summary>
public sealed record RouteConfig
{
    /// <summary>Exact name, <c>*.example.com</c>, or null for any.</summary>
    /// <value>Key <c>route.host</c>: <c>example.com</c>, <c>*.example.com</c> or <c>*</c>; default: any.</value>
    public string? Host { get; init; }

    /// <summary>Exact path, or a prefix that ends in <c>*</c>; null for any. <c>/v1/*</c> is also <c>/v1</c>.</summary>
    /// <value>Key <c>route.path</c>: <c>/exact</c> or <c>/prefix/*</c>; default: any.</value>
    public string? Path { get; init; }

    /// <summary>Method names; none is any.</summary>
    /// <value>Key <c>route.method</c>: method, or a list; default: any.</value>
    public IReadOnlyList<string> Methods { get; init; } = [];

    /// <summary>Header fields that the request must have; names without case, values byte by byte.</summary>
    /// <value>Key <c>route.headers</c>: <c>NAME: value</c>; default: none.</value>
    public IReadOnlyList<RouteCondition> Headers { get; init; } = [];

    /// <summary>Parameters that the query must have; compared decoded.</summary>
    /// <value>Key <c>route.query</c>: <c>NAME: value</c>; default: none.</value>
    public IReadOnlyList<RouteCondition> Query { get; init; } = [];

    /// <summary>Name of the upstream that its requests go to; one that the configuration has.</summary>
    /// <value>Key <c>route.upstream</c>: name of an upstream; required.</value>
    public required string Upstream { get; init; }

    /// <summary>Names of the limits that its requests are under; the first that counts by client is for clients without
    /// a setting of their own. Null means <c>default</c>, if there is one; empty means none, not even a registered
    /// client's own.</summary>
    /// <value>Key <c>route.limit</c>: name of a limit, a list of them, or <c>off</c>; default: the limit named
    /// <c>default</c>.</value>
    public ValueList<string>? Limits { get; init; }

    /// <summary>Tokens that a request takes from each bucket, at least 1.</summary>
    /// <value>Key <c>route.cost</c>: 1 to 1,000,000; default: 1.</value>
    public int Cost { get; init; } = 1;

    /// <summary>Other waits on this route.</summary>
    /// <value>Key <c>route.timeouts</c>: a mapping; default: the general <c>timeouts</c>.</value>
    public RouteTimeoutsConfig Timeouts { get; init; } = new();

    /// <summary>Instead of the upstream's, but for the budget, which is the upstream's for all; null: as the upstream
    /// says.</summary>
    /// <value>Key <c>route.retries</c>: <c>off</c>, or a mapping; default: the upstream's.</value>
    public RetryConfig? Retries { get; init; }

    /// <summary>Another path for the backend; null: the path stays.</summary>
    /// <value>Key <c>route.rewrite</c>: a mapping; default: none.</value>
    public RewriteConfig? Rewrite { get; init; }

    /// <summary>Changes of the header fields of the request that the backend sees; null: none.</summary>
    /// <value>Key <c>route.request_headers</c>: a mapping; default: none.</value>
    public HeaderEditsConfig? RequestHeaders { get; init; }

    /// <summary>Changes of the header fields of backends' responses; answers of Penstock's own stay as they are. Null:
    /// none.</summary>
    /// <value>Key <c>route.response_headers</c>: a mapping; default: none.</value>
    public HeaderEditsConfig? ResponseHeaders { get; init; }

    /// <summary>Name in logs and metrics: the operator's, or else what the route matches.</summary>
    /// <value>Key <c>route.name</c>: name; default: the route's conditions, such as <c>GET
    /// api.example.com/v1/*</c>.</value>
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
    /// <summary>For a TCP connection to a backend.</summary>
    /// <value>Key <c>route_timeouts.connect</c>: duration; default: <c>timeouts.connect</c>.</value>
    public TimeSpan? Connect { get; init; }

    /// <summary>Between two bytes of progress while a request or response is under way.</summary>
    /// <value>Key <c>route_timeouts.response</c>: duration; default: <c>timeouts.response</c>.</value>
    public TimeSpan? Response { get; init; }
}

/// <summary>The path that the backend sees; the query stays.</summary>
public sealed record RewriteConfig
{
    /// <summary>Taken off the front of the path; the route's path starts with it. Null: nothing.</summary>
    /// <value>Key <c>rewrite.strip_prefix</c>: path; default: nothing.</value>
    public string? StripPrefix { get; init; }

    /// <summary>Put in front of what is left; starts with a slash and does not end in one. Null: nothing.</summary>
    /// <value>Key <c>rewrite.add_prefix</c>: path; default: nothing.</value>
    public string? AddPrefix { get; init; }
}

/// <summary>Changes of a message's header fields.</summary>
public sealed record HeaderEditsConfig
{
    /// <summary>Replaces every field of that name.</summary>
    /// <value>Key <c>header_edits.set</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Set { get; init; } = [];

    /// <summary>One more field, beside those that are there.</summary>
    /// <value>Key <c>header_edits.add</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Add { get; init; } = [];

    /// <summary>Names of fields to leave out.</summary>
    /// <value>Key <c>header_edits.remove</c>: name, or a list; default: none.</value>
    public IReadOnlyList<string> Remove { get; init; } = [];
}

/// <summary>A header field of a message.</summary>
public sealed record HeaderField(string Name, string Value);
