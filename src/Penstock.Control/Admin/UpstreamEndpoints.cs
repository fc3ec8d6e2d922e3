using System.ComponentModel;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Proxy;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary><c>/upstreams</c> and <c>/explain</c>: lists upstreams and backends, and explains what Penstock would do
/// with a request.</summary>
internal static class UpstreamEndpoints
{
    public static void MapUpstreams(this IEndpointRouteBuilder app, ProxyServer proxy)
    {
        app.MapGet("/upstreams", () => Results.Ok(new UpstreamPage(proxy.Upstreams())))
            .WithTags("Upstreams").WithName("listUpstreams").WithSummary("List the upstreams and their backends")
            .WithDescription("Returns health with its cause, load and counts, as they are now.")
            .Produces<UpstreamPage>();

        app.MapPost("/explain", async (HttpRequest request) => await ExplainAsync(request, proxy))
            .Accepts<ExplainRequest>("application/json")
            .WithMetadata(Needs.Read)
            .WithTags("Upstreams").WithName("explain").WithSummary("What would Penstock do with a request?")
            .WithDescription("Returns the client and the key that matched, limit and tokens, route, candidates, and "
                + "the backend that would get the request. Penstock sends nothing, takes no token and changes nothing.")
            .Produces<Explanation>().Errors(400, 413, 415, 503);
    }

    private static async Task<IResult> ExplainAsync(HttpRequest request, ProxyServer proxy)
    {
        JsonBody body = await JsonBody.ReadAsync(request);
        string method = body.Text("method") ?? "GET";
        string host = body.Text("host") ?? "localhost";
        string path = body.Text("path") ?? "/";
        IReadOnlyList<KeyValuePair<string, string>> headers = body.Texts("headers");
        IPAddress address = body.Address("client_address");
        if (body.Finish("method", "host", "path", "headers", "client_address") is { } error)
        {
            return error.ToResult();
        }

        try
        {
            return Results.Ok(await proxy.ExplainAsync(new(method, host, path, headers, address)));
        }
        catch (ProxyStartException stopped)
        {
            return new ApiError(503, stopped.Message).ToResult();
        }
    }
}

internal sealed record ExplainRequest(
    [property: Description("Default: GET.")] string Method = "GET",
    [property: Description("Default: localhost.")] string Host = "localhost",
    [property: Description("With the query. Default: `/`.")] string Path = "/",
    [property: Description("Header fields other than Host.")] IReadOnlyDictionary<string, string>? Headers = null,
    [property: Description("Default: 127.0.0.1.")] string ClientAddress = "127.0.0.1");
