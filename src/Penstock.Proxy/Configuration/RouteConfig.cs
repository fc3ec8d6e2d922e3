namespace Penstock.Proxy.Configuration;

/// <summary>Which requests go to which upstream under which limit.</summary>
public sealed record RouteConfig
{
    /// <summary>Exact name, <c>*.example.com</c>, or null for any.</summary>
    public string? Host { get; init; }

    /// <summary>Exact path, or a prefix that ends in <c>*</c>; null for any.</summary>
    public string? Path { get; init; }

    /// <summary>A method name, or null for any.</summary>
    public string? Method { get; init; }
    public required string Upstream { get; init; }

    /// <summary>Name of the limit for clients without a setting of their own; null means <c>default</c>.</summary>
    public string? Limit { get; init; }

    /// <summary>Name in logs and metrics: what the operator would call it.</summary>
    public string Name => $"{Method ?? ""}{(Method is null ? "" : " ")}{Host ?? "*"}{Path ?? "/*"}";
}
