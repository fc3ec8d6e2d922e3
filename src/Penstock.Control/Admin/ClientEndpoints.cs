using System.Buffers.Text;
using System.ComponentModel;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary><c>/clients</c>: the limits of registered clients and the tokens in their buckets.</summary>
internal static class ClientEndpoints
{
    private const int DefaultPageSize = 100;
    private const int MaxPageSize = 1000;
    private const string IdDescription = "The client's id, URL-escaped: `/` is `%2F`.";
    private const string IfMatchDescription = "Edits only if the settings still have this ETag; otherwise 412.";
    private const string IfNoneMatchDescription = "`*`: edits only if the client does not exist yet; otherwise 412.";

    public static void MapClients(this IEndpointRouteBuilder app, ClientDirectory directory)
    {
        RouteGroupBuilder clients = app.MapGroup("/clients").WithTags("Clients");
        MapReads(clients, directory);
        MapWrites(clients, directory);
        MapActions(clients, directory);
        clients.MapFiles(directory);
    }

    /// <summary>The path of a client. In the id <c>export</c> a letter is escaped, so that the path differs from
    /// <c>/clients/export</c>; routing compares paths as they were sent.</summary>
    public static string PathOf(string clientId) => "/clients/"
        + (clientId.Equals("export", StringComparison.OrdinalIgnoreCase)
            ? $"%{(int)clientId[0]:X2}{clientId[1..]}" : Uri.EscapeDataString(clientId));

    private static void MapReads(RouteGroupBuilder clients, ClientDirectory directory)
    {
        clients.MapGet("", (
                [Description("How many clients to return at most, 1 to 1000; default 100.")] string? limit,
                [Description("`next_cursor` of the previous page.")] string? cursor,
                [Description("Returns only clients whose id contains this text.")] string? q) =>
            List(directory, limit, cursor, q ?? ""))
            .Describe("listClients", "List clients", "Clients are ordered by id and returned in pages.")
            .AddOpenApiOperationTransformer((operation, _, _) =>
            {
                // It is bound as a string, so that an invalid one is reported like any other fault.
                ((OpenApiSchema)operation.Parameters![0].Schema!).Type = JsonSchemaType.Integer;
                return Task.CompletedTask;
            })
            .Produces<ClientPage>().Errors(400, 503);

        clients.MapGet("/{client_id}", (
                HttpContext http,
                [FromRoute(Name = "client_id"), Description(IdDescription)] string segment) =>
            Get(http, directory, Id(segment)))
            .WithMetadata(new HasEntityTags())
            .Describe("getClient", "Get a client", "The ETag covers the settings, not the tokens.")
            .Produces<ClientView>().Errors(404);
    }

    private static void MapWrites(RouteGroupBuilder clients, ClientDirectory directory)
    {
        clients.MapPost("", async (HttpContext http) =>
            await ClientBody.ReadAsync(http.Request) is var body && body.Error is { } error
                ? error.ToResult()
                : Answer(http, body.ClientId, directory.Create(body.ClientId, body.Change)))
            .Accepts<NewClient>("application/json")
            .Describe("createClient", "Register a client", "The settings apply from the client's next request.")
            .Produces<ClientView>(201).Errors(400, 409, 413, 415, 503);

        clients.MapPut("/{client_id}", async (
                HttpContext http,
                [FromRoute(Name = "client_id"), Description(IdDescription)] string segment,
                [FromHeader(Name = "If-Match"), Description(IfMatchDescription)] string? ifMatch,
                [FromHeader(Name = "If-None-Match"), Description(IfNoneMatchDescription)] string? ifNoneMatch) =>
            await ClientBody.ReadAsync(http.Request, Id(segment)) is var body && body.Error is { } error
                ? error.ToResult()
                : Answer(http, body.ClientId,
                    directory.Put(body.ClientId, body.Change, new(ifMatch, ifNoneMatch))))
            .Accepts<ClientSettings>("application/json")
            .WithMetadata(new HasEntityTags())
            .Describe("putClient", "Create or replace a client", "An existing client keeps its tokens (at most the "
                + "new capacity), its `access` and its `limits`, unless the body sets them.")
            .Produces<ClientView>().Produces<ClientView>(201).Errors(400, 412, 413, 415, 503);

        clients.MapPatch("/{client_id}", async (
                HttpContext http,
                [FromRoute(Name = "client_id"), Description(IdDescription)] string segment,
                [FromHeader(Name = "If-Match"), Description(IfMatchDescription)] string? ifMatch) =>
            await ClientBody.ReadAsync(http.Request, Id(segment), partial: true) is var body && body.Error is { } error
                ? error.ToResult()
                : Answer(http, body.ClientId,
                    directory.Patch(body.ClientId, body.Change, When(http, ifMatch))))
            .Accepts<ClientPatch>("application/merge-patch+json", "application/json")
            .WithMetadata(new HasEntityTags())
            .Describe("patchClient", "Change some of a client's settings", "A JSON merge-patch.")
            .Produces<ClientView>().Errors(400, 404, 412, 413, 415, 503);
    }

    private static void MapActions(RouteGroupBuilder clients, ClientDirectory directory)
    {
        clients.MapDelete("/{client_id}", (
                HttpContext http,
                [FromRoute(Name = "client_id"), Description(IdDescription)] string segment,
                [FromHeader(Name = "If-Match"), Description(IfMatchDescription)] string? ifMatch) =>
            Answer(http, Id(segment), directory.Delete(Id(segment), When(http, ifMatch))))
            .WithMetadata(new HasEntityTags())
            .Describe("deleteClient", "Delete a client", "The limit of the route applies to it again.")
            .Produces(204).Errors(404, 412, 503);

        clients.MapPost("/{client_id}/reset", (
                HttpContext http,
                [FromRoute(Name = "client_id"), Description(IdDescription)] string segment,
                [FromHeader(Name = "If-Match"), Description(IfMatchDescription)] string? ifMatch) =>
            Answer(http, Id(segment), directory.Reset(Id(segment), When(http, ifMatch))))
            .WithMetadata(new HasEntityTags())
            .Describe("resetClient", "Fill a client's bucket", "The bucket has `capacity` tokens afterwards.")
            .Produces<ClientView>().Errors(404, 412, 503);
    }

    public static IResult Get(HttpContext http, ClientDirectory directory, string id) =>
        directory.TryGet(id, out ClientState client) ? Show(http, client, ClientView.Show(client), 200)
            : NotRegistered(id);

    public static IResult List(ClientDirectory directory, string? limitText, string? cursor, string q)
    {
        var faults = new List<FieldFault>();
        int limit = DefaultPageSize;
        if (limitText is not null && (!int.TryParse(limitText, out limit) || limit is < 1 or > MaxPageSize))
        {
            faults.Add(new("limit", $"must be a whole number from 1 to {MaxPageSize}"));
        }

        if (!TryReadCursor(cursor ?? "", out string? after))
        {
            faults.Add(new("cursor", "must be the next_cursor of an earlier page"));
        }

        if (faults.Count > 0)
        {
            return ClientBody.Invalid(faults).ToResult();
        }

        // One more id than requested shows whether there is a next page.
        if (!directory.TryPage(after, q, limit + 1, out List<string>? ids))
        {
            return StoreFailed(directory.StoreFault ?? "");
        }

        var items = new List<ClientView>();
        foreach (string id in ids.Take(limit))
        {
            if (directory.TryGet(id, out ClientState client))
            {
                items.Add(ClientView.Of(client));
            }
        }
        string? next = ids.Count > limit ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes(ids[limit - 1])) : null;
        return Results.Ok(new ClientPage(items, next));
    }

    private static bool TryReadCursor(string cursor, out string after)
    {
        bool valid = Base64Url.IsValid(cursor);
        after = valid ? Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor)) : "";
        return valid;
    }

    /// <summary>The answer to a successful edit, without a body.</summary>
    public static IResult NoContent(HttpContext http, string id, EditResult edit)
    {
        Note(http, id, edit);
        return Results.NoContent();
    }

    public static IResult Answer(HttpContext http, string id, EditResult edit)
    {
        Note(http, id, edit);
        switch (edit.Outcome)
        {
            case EditOutcome.Created:
                http.Response.Headers.Location = PathOf(id);
                return Show(http, edit.Client, 201);
            case EditOutcome.Updated:
                return Show(http, edit.Client, 200);
            case EditOutcome.Deleted:
                return Results.NoContent();
            case EditOutcome.NotFound:
                return NotRegistered(id);
            case EditOutcome.Exists:
                return new ApiError(409, $"client '{id}' exists already; use PUT or PATCH to change it").ToResult();
            case EditOutcome.PreconditionFailed:
                return new ApiError(412, $"client '{id}' does not match If-Match or If-None-Match: it was changed, "
                    + "created or deleted").ToResult();
            case EditOutcome.Invalid:
                return ClientBody.Invalid(edit.Faults!).ToResult();
            default:
                return StoreFailed(edit.Cause);
        }
    }

    private static void Note(HttpContext http, string id, EditResult edit) =>
        AdminAudit.Note(http, edit.Change.Length == 0 ? "" : $"client {id}: {edit.Change}");

    private static IResult Show(HttpContext http, ClientState client, int status) =>
        Show(http, client, ClientView.Of(client), status);

    private static IResult Show(HttpContext http, ClientState client, ClientView view, int status)
    {
        http.Response.Headers.ETag = EntityTag.Of(client);
        ProxyConfig config = http.RequestServices.GetRequiredService<ProxyServer>().Config;
        view = view with { Warnings = ClientId.Warnings(client.ClientId, config) };
        return Results.Json(view, AdminJson.Types.ClientView, statusCode: status);
    }

    private static Preconditions When(HttpContext http, string? ifMatch) =>
        new(ifMatch, http.Request.Headers.IfNoneMatch is { Count: > 0 } none ? none.ToString() : null);

    private static IResult NotRegistered(string id) =>
        new ApiError(404, $"client '{id}' is not registered").ToResult();

    public static IResult StoreFailed(string cause) =>
        new ApiError(503, $"the client store is unavailable, nothing was changed: {cause}").ToResult();

    public static string Id(string segment) => Uri.UnescapeDataString(segment);

    public static RouteHandlerBuilder Describe(
        this RouteHandlerBuilder endpoint, string name, string summary, string description) =>
        endpoint.WithName(name).WithSummary(summary).WithDescription(description);

    public static void Errors(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        foreach (int status in statuses)
        {
            endpoint.Produces<ApiError>(status);
        }
    }
}
