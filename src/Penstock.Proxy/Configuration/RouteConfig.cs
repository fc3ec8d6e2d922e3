namespace Penstock.Proxy.Configuration;

/// <summary>Which requests go to which upstream, which limits apply, and what is changed in requests and responses. A
/// request must meet all conditions.</summary>
public sealed record RouteConfig
{
    /// <summary>The host: an exact name or <c>*.example.com</c>; null: any.</summary>
    /// <value>Key <c>route.host</c>: <c>example.com</c>, <c>*.example.com</c> or <c>*</c>; default: any.</value>
    public string? Host { get; init; }

    /// <summary>The path: an exact path, or a prefix that ends in <c>*</c>; null: any. <c>/v1/*</c> also matches
    /// <c>/v1</c>.</summary>
    /// <value>Key <c>route.path</c>: <c>/exact</c> or <c>/prefix/*</c>; default: any.</value>
    public string? Path { get; init; }

    /// <summary>The methods; empty: any.</summary>
    /// <value>Key <c>route.method</c>: method, or a list; default: any.</value>
    public IReadOnlyList<string> Methods { get; init; } = [];

    /// <summary>Header fields that the request must have. Names are compared ignoring case, values byte by
    /// byte.</summary>
    /// <value>Key <c>route.headers</c>: <c>NAME: value</c>; default: none.</value>
    public IReadOnlyList<RouteCondition> Headers { get; init; } = [];

    /// <summary>Parameters that the query must have. Names and values are compared decoded.</summary>
    /// <value>Key <c>route.query</c>: <c>NAME: value</c>; default: none.</value>
    public IReadOnlyList<RouteCondition> Query { get; init; } = [];

    /// <summary>Name of the upstream for the route's requests. It must be in the configuration.</summary>
    /// <value>Key <c>route.upstream</c>: name of an upstream; required.</value>
    public required string Upstream { get; init; }

    /// <summary>Names of the limits that apply to the route's requests. For a registered client, its own limit replaces
    /// the first one that counts by client. Null: <c>default</c>, if there is one. Empty: no limit, not even a
    /// registered client's own.</summary>
    /// <value>Key <c>route.limit</c>: name of a limit, a list of them, or <c>off</c>; default: the limit named
    /// <c>default</c>.</value>
    public ValueList<string>? Limits { get; init; }

    /// <summary>Tokens that a request takes from each bucket; at least 1.</summary>
    /// <value>Key <c>route.cost</c>: 1 to 1,000,000; default: 1.</value>
    public int Cost { get; init; } = 1;

    /// <summary>Timeouts of this route.</summary>
    /// <value>Key <c>route.timeouts</c>: a mapping; default: the general <c>timeouts</c>.</value>
    public RouteTimeoutsConfig Timeouts { get; init; } = new();

    /// <summary>Retries of this route, in place of the upstream's; the budget is always the upstream's. Null: as the
    /// upstream has it.</summary>
    /// <value>Key <c>route.retries</c>: <c>off</c>, or a mapping; default: the upstream's.</value>
    public RetryConfig? Retries { get; init; }

    /// <summary>Changes the path for the backend; null: the path does not change.</summary>
    /// <value>Key <c>route.rewrite</c>: a mapping; default: none.</value>
    public RewriteConfig? Rewrite { get; init; }

    /// <summary>Changes the header fields of requests for the backend; null: no changes.</summary>
    /// <value>Key <c>route.request_headers</c>: a mapping; default: none.</value>
    public HeaderEditsConfig? RequestHeaders { get; init; }

    /// <summary>Changes the header fields of backends' responses, but not of Penstock's own answers; null: no
    /// changes.</summary>
    /// <value>Key <c>route.response_headers</c>: a mapping; default: none.</value>
    public HeaderEditsConfig? ResponseHeaders { get; init; }

    /// <summary>The name in logs and metrics: the configured one, else what the route matches.</summary>
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
/// <param name="Value">The value; null: any.</param>
public sealed record RouteCondition(string Name, string? Value)
{
    internal string Shown => Value ?? "*";
}

/// <summary>Timeouts of a route; null: those of <see cref="TimeoutsConfig"/>.</summary>
public sealed record RouteTimeoutsConfig
{
    /// <summary>How long opening a connection to a backend may take.</summary>
    /// <value>Key <c>route_timeouts.connect</c>: duration; default: <c>timeouts.connect</c>.</value>
    public TimeSpan? Connect { get; init; }

    /// <summary>The longest time without progress while a request or response is in flight.</summary>
    /// <value>Key <c>route_timeouts.response</c>: duration; default: <c>timeouts.response</c>.</value>
    public TimeSpan? Response { get; init; }
}

/// <summary>Changes of the path for the backend. The query does not change.</summary>
public sealed record RewriteConfig
{
    /// <summary>A prefix that is removed from the path. The route's path must start with it. Null: nothing is
    /// removed.</summary>
    /// <value>Key <c>rewrite.strip_prefix</c>: path; default: nothing.</value>
    public string? StripPrefix { get; init; }

    /// <summary>A prefix that is put before the rest. It starts with a slash and does not end in one. Null: nothing is
    /// added.</summary>
    /// <value>Key <c>rewrite.add_prefix</c>: path; default: nothing.</value>
    public string? AddPrefix { get; init; }
}

/// <summary>Changes of a message's header fields.</summary>
public sealed record HeaderEditsConfig
{
    /// <summary>Fields that replace all fields of the same name.</summary>
    /// <value>Key <c>header_edits.set</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Set { get; init; } = [];

    /// <summary>Fields that are added to those of the same name.</summary>
    /// <value>Key <c>header_edits.add</c>: <c>NAME: value</c>, or a list of values; default: none.</value>
    public IReadOnlyList<HeaderField> Add { get; init; } = [];

    /// <summary>Names of fields to leave out.</summary>
    /// <value>Key <c>header_edits.remove</c>: name, or a list; default: none.</value>
    public IReadOnlyList<string> Remove { get; init; } = [];
}

/// <summary>A header field of a message.</summary>
public sealed record HeaderField(string Name, string Value);
