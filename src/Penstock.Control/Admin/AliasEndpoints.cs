using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Store;

namespace Penstock.Control.Admin;

/// <summary>Paths of other small balancers for what <c>/clients</c> does, so that their users' scripts work. All of
/// them are here, and none is in the OpenAPI document: docs/coming-from.md lists them. They need the same tokens and
/// make the same log lines.</summary>
internal static class AliasEndpoints
{
    /// <summary>What a body may call its members instead.</summary>
    private static readonly Dictionary<string, string> OtherNames = new(StringComparer.Ordinal)
    {
        ["ip_address"] = ClientDraft.ClientId,
        ["rate_per_second"] = ClientDraft.RatePerSecond,
    };

    /// <summary>The name of the member in the API.</summary>
    public static string MemberOf(string name) => OtherNames.GetValueOrDefault(name, name);

    public static void MapAliases(this IEndpointRouteBuilder app, ClientDirectory directory)
    {
        // Without their return types these lambdas would be RequestDelegates, whose results are ignored.
        RouteGroupBuilder aliases = app.MapGroup("").ExcludeFromDescription();
        aliases.MapPost("/client", Task<IResult> (HttpContext http) => CreateAsync(http, directory, NewId()));

        aliases.MapPost("/limits/create", Task<IResult> (HttpContext http) => CreateAsync(http, directory));
        aliases.MapGet("/limits/get", Task<IResult> (HttpContext http) => WithIdAsync(http, (id, _) =>
            ClientEndpoints.Get(http, directory, id)));
        aliases.MapPut("/limits/update", Task<IResult> (HttpContext http) => WithIdAsync(http, (id, change) =>
            directory.Patch(id, change, default) is var edit && edit.Outcome == EditOutcome.Updated
                ? ClientEndpoints.NoContent(http, id, edit) : ClientEndpoints.Answer(http, id, edit)));
        aliases.MapDelete("/limits/delete", Task<IResult> (HttpContext http) => WithIdAsync(http, (id, _) =>
            ClientEndpoints.Answer(http, id, directory.Delete(id, default))));

        RouteGroupBuilder clients = aliases.MapGroup("/v1/api/clients");
        clients.MapGet("", () => ClientEndpoints.List(directory, null, null, ""));
        clients.MapPost("", Task<IResult> (HttpContext http) => CreateAsync(http, directory));
        clients.MapGet("/{id}", (HttpContext http) => ClientEndpoints.Get(http, directory, PathId(http)));
        clients.MapPut("/{id}", Task<IResult> (HttpContext http) => PutAsync(http, directory));
        clients.MapDelete("/{id}", (HttpContext http) =>
            ClientEndpoints.Answer(http, PathId(http), directory.Delete(PathId(http), default)));
    }

    private static async Task<IResult> CreateAsync(HttpContext http, ClientDirectory directory, string? newId = null) =>
        await ClientBody.ReadAliasAsync(http.Request, newId) is var body && body.Error is { } error
            ? error.ToResult()
            : ClientEndpoints.Answer(http, body.ClientId, directory.Create(body.ClientId, body.Change));

    private static async Task<IResult> PutAsync(HttpContext http, ClientDirectory directory)
    {
        ClientBody body = await ClientBody.ReadAliasAsync(http.Request, PathId(http));
        return body.Error is { } error ? error.ToResult()
            : body.ClientId != PathId(http) ? new ApiError(400, "client_id must equal the id in the path").ToResult()
            : ClientEndpoints.Answer(http, body.ClientId, directory.Put(body.ClientId, body.Change, default));
    }

    /// <summary>The client is named by the body or, because many programs send no body with GET and DELETE, by the
    /// query.</summary>
    private static async Task<IResult> WithIdAsync(HttpContext http, Func<string, ClientChange, IResult> answer)
    {
        if (http.Request.Query[ClientDraft.ClientId] is [{ Length: > 0 } id] && !HttpMethods.IsPut(http.Request.Method))
        {
            return answer(id, new());
        }
        ClientBody body = await ClientBody.ReadAliasAsync(http.Request, null, partial: true);
        return body.Error is { } error ? error.ToResult() : answer(body.ClientId, body.Change);
    }

    private static string PathId(HttpContext http) => ClientEndpoints.Id((string)http.GetRouteValue("id")!);

    /// <summary>Clients are recognised by their id, so it must not be possible to guess one.</summary>
    private static string NewId() => RandomNumberGenerator.GetHexString(32, lowercase: true);
}
