using System.ComponentModel;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Penstock.Proxy;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary><c>/upstreams</c> and <c>/explain</c>: lists upstreams and backends, sets a backend's state and weight, and
/// explains what Penstock would do with a request.</summary>
internal static class UpstreamEndpoints
{
    public static void MapUpstreams(this IEndpointRouteBuilder app, ProxyServer proxy)
    {
        app.MapGet("/upstreams", () => Results.Ok(new UpstreamPage(proxy.Upstreams())))
            .WithTags("Upstreams").WithName("listUpstreams").WithSummary("List the upstreams and their backends")
            .WithDescription("Returns health with its cause, load and counts, as they are now.")
            .Produces<UpstreamPage>();

        app.MapPatch("/upstreams/{name}/backends/{address}", async (
                HttpContext http,
                [Description("The upstream.")] string name,
                [Description("The backend's `address`, URL-escaped.")] string address) =>
            await PatchAsync(http.Request, proxy, Uri.UnescapeDataString(name), Uri.UnescapeDataString(address)))
            .Accepts<BackendPatch>("application/merge-patch+json", "application/json")
            .WithTags("Upstreams").WithName("patchBackend")
            .WithSummary("Set the state or the weight of a backend")
            .WithDescription("`drain`: the backend gets no new clients, but finishes its exchanges and keeps its "
                + "sticky sessions. `maintenance`: it gets no new requests. `drained` in the answer and in "
                + "`GET /upstreams` says when it has no exchange left. The state holds until it is set again or "
                + "Penstock restarts; a reload keeps it.")
            .Produces<BackendStatus>().Errors(400, 404, 413, 415);

        app.MapPost("/explain", async (HttpRequest request) => await ExplainAsync(request, proxy))
            .Accepts<ExplainRequest>("application/json")
            .WithTags("Upstreams").WithName("explain").WithSummary("What would Penstock do with a request?")
            .WithDescription("Returns the client and the key that matched, limit and tokens, route, candidates, and "
                + "the backend that would get the request. Penstock sends nothing, takes no token and changes nothing.")
            .Produces<Explanation>().Errors(400, 413, 415, 503);
    }

    private static async Task<IResult> PatchAsync(HttpRequest request, ProxyServer proxy, string name, string address)
    {
        JsonBody body = await JsonBody.ReadAsync(request);
        BackendState? state = body.Word<BackendState>("state");
        int? weight = body.IsNull("weight") ? 0 : body.Whole("weight", 1, 256);
        if (body.Finish("state", "weight") is { } error)
        {
            return error.ToResult();
        }

        if (proxy.SetBackend(name, address, state, weight) is { } changed)
        {
            return Results.Ok(changed);
        }

        UpstreamStatus? upstream = proxy.Upstreams().FirstOrDefault(u => u.Name == name);
        return new ApiError(404, upstream is null
            ? $"there is no upstream '{name}'"
            : $"upstream '{name}' has no backend '{address}'; its backends are "
                + string.Join(", ", upstream.Backends.Select(b => b.Address))).ToResult();
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

internal sealed record BackendPatch(
    [property: Description("`ready`, `drain` or `maintenance`.")] BackendState State = BackendState.Ready,
    [property: System.ComponentModel.DataAnnotations.Range(1, 256),
        Description("Replaces the configured weight; null restores it.")] int? Weight = null);

internal sealed record ExplainRequest(
    [property: Description("Default: GET.")] string Method = "GET",
    [property: Description("Default: localhost.")] string Host = "localhost",
    [property: Description("With the query. Default: `/`.")] string Path = "/",
    [property: Description("Header fields other than Host.")] IReadOnlyDictionary<string, string>? Headers = null,
    [property: Description("Default: 127.0.0.1.")] string ClientAddress = "127.0.0.1");
