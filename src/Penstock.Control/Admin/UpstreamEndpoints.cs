using System.ComponentModel;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Penstock.Proxy;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary>Upstreams and their backends: a look at them, what the operator wants of one, and what would be done with a
/// request.</summary>
internal static class UpstreamEndpoints
{
    public static void MapUpstreams(this IEndpointRouteBuilder app, ProxyServer proxy)
    {
        app.MapGet("/upstreams", () => Results.Ok(new UpstreamPage(proxy.Upstreams())))
            .WithTags("Upstreams").WithName("listUpstreams").WithSummary("Look at the upstreams and their backends")
            .WithDescription("Health with its cause, load and counts, as they are now.")
            .Produces<UpstreamPage>();

        app.MapPatch("/upstreams/{name}/backends/{address}", async (
                HttpContext http,
                [Description("The upstream.")] string name,
                [Description("The backend's `address`, URL-escaped.")] string address) =>
            await PatchAsync(http.Request, proxy, Uri.UnescapeDataString(name), Uri.UnescapeDataString(address)))
            .Accepts<BackendPatch>("application/merge-patch+json", "application/json")
            .WithTags("Upstreams").WithName("patchBackend")
            .WithSummary("Drain a backend, take it out, bring it back, or weigh it")
            .WithDescription("`drain`: no new clients, exchanges and sticky sessions end by themselves; `maintenance`: "
                + "nothing new at all; `drained` in the answer, and in `GET /upstreams`, says when nothing is left. "
                + "Holds until it is changed again or Penstock restarts; a reload keeps it.")
            .Produces<BackendStatus>().Errors(400, 404, 413, 415);

        app.MapPost("/explain", async (HttpRequest request) => await ExplainAsync(request, proxy))
            .Accepts<ExplainRequest>("application/json")
            .WithTags("Upstreams").WithName("explain").WithSummary("What would be done with a request?")
            .WithDescription("Client and the key that matched, limit and tokens, route, candidates, and the backend it "
                + "would go to. Nothing is sent, taken or changed.")
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
            : $"upstream '{name}' has no backend '{address}', but "
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
        Description("Instead of the configured one; null goes back to that.")] int? Weight = null);

internal sealed record ExplainRequest(
    [property: Description("GET when absent.")] string Method = "GET",
    [property: Description("localhost when absent.")] string Host = "localhost",
    [property: Description("With the query; `/` when absent.")] string Path = "/",
    [property: Description("Besides Host.")] IReadOnlyDictionary<string, string>? Headers = null,
    [property: Description("127.0.0.1 when absent.")] string ClientAddress = "127.0.0.1");
