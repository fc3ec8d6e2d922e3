using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary><c>POST /reload</c>.</summary>
internal static class ReloadEndpoints
{
    public static void MapReload(this IEndpointRouteBuilder app, Reloader reloader) =>
        app.MapPost("/reload", () => Answer(reloader.Reload()))
            .WithTags("Configuration").WithName("reload").WithSummary("Read the configuration file again")
            .WithDescription("Applies listeners, upstreams, backends, routes, limits, timeouts and bounds without a "
                + "restart; health, buckets and connections are kept. If the file has an error, nothing changes and "
                + "all errors are listed. The signal HUP does the same.")
            .Produces<Reloaded>().Errors(400, 409);

    private static IResult Answer(ReloadResult result)
    {
        if (result.Error is null)
        {
            return Results.Ok(new Reloaded([.. result.Diagnostics.Select(Remark)], result.RestartNeeded));
        }

        return new ApiError(result.Diagnostics.Count == 0 ? 409 : 400,
            $"nothing was changed: {result.Error}", [.. result.Diagnostics.Select(Remark)]).ToResult();
    }

    private static Store.FieldFault Remark(Diagnostic remark) => new($"{remark.File}:{remark.Line}:{remark.Column}",
        remark.Hint is null ? remark.Message : $"{remark.Message}; {remark.Hint}");
}

internal sealed record Reloaded(
    [property: Description("Warnings about the file.")] IReadOnlyList<Store.FieldFault> Warnings,
    [property: Description("Keys that have changed, but take effect only after a restart.")]
    IReadOnlyList<string> RestartNeeded);
