using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Admin;

/// <summary><c>/upstreams/{name}/backends</c>: adds and removes backends, and sets their state and weight.</summary>
internal static class BackendEndpoints
{
    private const string NameDescription = "The upstream.";
    private const string AddressDescription = "The backend's `address`, or its `name` if DNS has resolved it, "
        + "URL-escaped.";

    public static void MapBackends(
        this IEndpointRouteBuilder app, ProxyServer proxy, StoredBackends added, Reloader reloader)
    {
        RouteGroupBuilder backends = app.MapGroup("/upstreams/{name}/backends").WithTags("Upstreams");
        backends.MapGet("/{address}", (
                [FromRoute, Description(NameDescription)] string name,
                [FromRoute, Description(AddressDescription)] string address) =>
            Find(proxy, Text(name), Text(address)))
            .Describe("getBackend", "Get a backend", "Returns its state as it is now. Of a DNS name, that of its first "
                + "address.")
            .Produces<BackendStatus>().Errors(404);

        backends.MapPost("", async (
                HttpContext http,
                [FromRoute, Description(NameDescription)] string name) =>
            await AddAsync(http, proxy, added, reloader.Current.Admin, Text(name)))
            .Accepts<NewBackend>("application/json")
            .Describe("addBackend", "Add a backend", "The members are the keys of a backend in the configuration file. "
                + "The backend begins with slow start, if the upstream has it. It survives a reload and ends with a "
                + "restart of this node; with `stored` the store keeps it over restarts, and all nodes that share the "
                + "store have it. If the file has its address at a reload, the file's entry is used instead.")
            .Produces<BackendStatus>(201).Errors(400, 404, 409, 413, 415, 503);

        backends.MapPatch("/{address}", async (
                HttpContext http,
                [FromRoute, Description(NameDescription)] string name,
                [FromRoute, Description("The backend's `address`, URL-escaped.")] string address) =>
            await PatchAsync(http, proxy, Text(name), Text(address)))
            .Accepts<BackendPatch>("application/merge-patch+json", "application/json")
            .Describe("patchBackend", "Set the state or the weight of a backend", "`drain`: the backend gets no new "
                + "clients, but finishes its exchanges and keeps its sticky sessions. `maintenance`: it gets no new "
                + "requests. `drained` in the answer and in `GET /upstreams` says when it has no exchange left. The "
                + "state holds until it is set again or Penstock restarts; a reload keeps it.")
            .Produces<BackendStatus>().Errors(400, 404, 413, 415);

        backends.MapDelete("/{address}", (
                HttpContext http,
                [FromRoute, Description(NameDescription)] string name,
                [FromRoute, Description(AddressDescription)] string address,
                [FromQuery(Name = "in_flight"), Description("`finish` (default): removes the backend at once; its "
                    + "exchanges in flight end normally. `reject`: 409 while exchanges are in flight.")]
                string? inFlight) => Remove(http, proxy, added, Text(name), Text(address), inFlight))
            .Describe("removeBackend", "Remove a backend", "Only one that was added by this API, also from the "
                + "store; a backend of the configuration file is removed from the file. To wait for sticky sessions "
                + "too, first set the state to `drain`.")
            .Produces(204).Errors(400, 404, 409, 503);
    }

    private static string PathOf(string upstream, string address) =>
        $"/upstreams/{Uri.EscapeDataString(upstream)}/backends/{Uri.EscapeDataString(address)}";

    private static string Text(string segment) => Uri.UnescapeDataString(segment);

    private static IResult Find(ProxyServer proxy, string upstream, string address) =>
        proxy.FindBackend(upstream, address) is { } backend ? Results.Ok(backend)
            : NotThere(proxy, upstream, address);

    private static async Task<IResult> AddAsync(
        HttpContext http, ProxyServer proxy, StoredBackends stored, AdminConfig admin, string upstream)
    {
        string json = "";
        if (await RequestObject.ReadAsync(http.Request, root => json = root.GetRawText()) is { } error)
        {
            return error.ToResult();
        }
        (BackendConfig? backend, IReadOnlyList<Diagnostic> diagnostics) = ConfigLoader.ParseBackend(json);
        if (backend is null)
        {
            return ClientBody.Invalid([.. diagnostics.Select(Fault)]).ToResult();
        }
        if (backend.Stored && !stored.CanStore)
        {
            return ClientBody.Invalid([new("stored", "must be false: the store is memory, which keeps nothing over a "
                + "restart; set the key store")]).ToResult();
        }
        if (!admin.HasToken && OwnAddress.Is(backend, admin.Listen))
        {
            (string fault, string remedy) = AdminKeys.Unprotected;
            return ClientBody.Invalid([new("url", $"must not be that of {fault}; {remedy}")]).ToResult();
        }
        BackendEdit result;
        BackendStatus? added;
        try
        {
            (result, added) = stored.Add(upstream, backend, json);
        }
        catch (StoreException e)
        {
            return ClientEndpoints.StoreFailed(e.Message);
        }
        if (result != BackendEdit.Done)
        {
            return Rejected(result, proxy, upstream, backend.Address);
        }
        AdminAudit.Note(http, $"added {upstream}/{backend.Address}, weight {backend.Weight}"
            + (backend.Stored ? ", stored" : ""));
        http.Response.Headers.Location = PathOf(upstream, backend.Address);
        return Results.Json(added, AdminJson.Types.BackendStatus, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> PatchAsync(HttpContext http, ProxyServer proxy, string upstream, string address)
    {
        JsonBody body = await JsonBody.ReadAsync(http.Request);
        BackendState? state = body.IsNull("state") ? BackendState.Ready : body.Word<BackendState>("state");
        int? weight = body.IsNull("weight") ? 0 : body.Whole("weight", 1, 256);
        if (body.Finish("state", "weight") is { } error)
        {
            return error.ToResult();
        }

        BackendStatus? before = proxy.FindBackend(upstream, address);
        if (proxy.SetBackend(upstream, address, state, weight) is not { } after)
        {
            return NotThere(proxy, upstream, address);
        }
        AdminAudit.Note(http, $"{Describe(before)} -> {Describe(after)}");
        return Results.Ok(after);
    }

    private static IResult Remove(
        HttpContext http, ProxyServer proxy, StoredBackends stored, string upstream, string address, string? inFlight)
    {
        if (inFlight is not (null or "finish" or "reject"))
        {
            return ClientBody.Invalid([new("in_flight", "must be finish or reject")]).ToResult();
        }
        BackendEdit result;
        try
        {
            result = stored.Remove(upstream, address, onlyIfIdle: inFlight == "reject");
        }
        catch (StoreException e)
        {
            return ClientEndpoints.StoreFailed(e.Message);
        }
        if (result != BackendEdit.Done)
        {
            return Rejected(result, proxy, upstream, address);
        }
        AdminAudit.Note(http, $"removed {upstream}/{address}");
        return Results.NoContent();
    }

    private static IResult Rejected(BackendEdit result, ProxyServer proxy, string upstream, string address)
    {
        string backend = $"backend '{address}' of upstream '{upstream}'";
        return result switch
        {
            BackendEdit.Exists => new ApiError(409, $"upstream '{upstream}' has the backend '{address}' already")
                .ToResult(),
            BackendEdit.Configured => new ApiError(409, $"{backend} is in the configuration file: remove it there and "
                + "reload, or set its state to maintenance").ToResult(),
            BackendEdit.OfName => new ApiError(409, $"{backend} is an address of the name "
                + $"'{proxy.FindBackend(upstream, address)?.Name}', which was added: remove the name").ToResult(),
            BackendEdit.Busy => new ApiError(409, $"{backend} has exchanges in flight").ToResult(),
            BackendEdit.Stopping => new ApiError(503, "Penstock is stopping").ToResult(),
            _ => NotThere(proxy, upstream, address),
        };
    }

    private static IResult NotThere(ProxyServer proxy, string name, string address)
    {
        UpstreamStatus? upstream = proxy.Upstreams().FirstOrDefault(u => u.Name == name);
        return new ApiError(404, upstream is null
            ? $"there is no upstream '{name}'"
            : $"upstream '{name}' has no backend '{address}'; its backends are "
                + string.Join(", ", upstream.Backends.Select(b => b.Address))).ToResult();
    }

    private static string Describe(BackendStatus? backend) => backend is null ? "none"
        : $"state {backend.State.ToString().ToLowerInvariant()}, weight {backend.Weight}";

    private static FieldFault Fault(Diagnostic diagnostic)
    {
        string field = diagnostic.Path ?? "body";
        string message = diagnostic.Message.StartsWith(field + ": ", StringComparison.Ordinal)
            ? diagnostic.Message[(field.Length + 2)..] : diagnostic.Message;
        return new(field, diagnostic.Hint is null ? message : $"{message}; {diagnostic.Hint}");
    }
}

/// <summary>The keys of a backend, for the OpenAPI document. <see cref="ConfigLoader.ParseBackend"/> reads
/// them.</summary>
internal sealed record NewBackend(
    [property: Description("`http://host:port`, `host:port` or `unix:/path`.")] string Url,
    [property: Range(1, 256), Description("Its share of the traffic. Default: 1.")] int Weight = 1,
    [property: Range(0, 1_000_000), Description("The maximum number of requests in flight; 0 (default): no maximum.")]
    int MaxConnections = 0,
    [property: Description("It gets requests only if no other backend can take them. Default: false.")]
    bool Backup = false,
    [property: Description("The store keeps it over restarts, for all nodes that share the store. Default: false.")]
    bool Stored = false);

internal sealed record BackendPatch(
    [property: Description("`ready`, `drain` or `maintenance`; null: `ready`.")]
    BackendState? State = BackendState.Ready,
    [property: Range(1, 256), Description("Replaces the configured weight; null restores it.")] int? Weight = null);
