using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Admin;

[Description("The lowest level of events that are written.")]
internal sealed record LogLevelView(
    [property: Description("The level in force.")] MinLevel Level,
    [property: Description("The level of the configuration, which the next reload puts in force.")]
    MinLevel Configured)
{
    public static LogLevelView Of(EventThreshold threshold) => new(threshold.Level, threshold.Configured);
}

internal sealed record NewLogLevel(
    [property: Description("`debug`, `info`, `warning` or `error`.")] MinLevel Level);

/// <summary><c>/log/level</c>: which events are written.</summary>
internal static class LogEndpoints
{
    public static void MapLog(this IEndpointRouteBuilder app, EventThreshold threshold, ILogger log)
    {
        app.MapGet("/log/level", () => Results.Ok(LogLevelView.Of(threshold)))
            .WithTags("Log").WithName("getLogLevel").WithSummary("Get the level of events")
            .WithDescription("Events below this level are not written to stderr.")
            .Produces<LogLevelView>();

        app.MapPut("/log/level", async (HttpRequest request) => await SetAsync(request.HttpContext, threshold, log))
            .Accepts<NewLogLevel>("application/json")
            .WithTags("Log").WithName("setLogLevel").WithSummary("Set the level of events")
            .WithDescription("The level holds until the next reload or restart; `log.level` of the configuration is "
                + "for longer.")
            .Produces<LogLevelView>().Errors(400, 413, 415);
    }

    private static async Task<IResult> SetAsync(HttpContext http, EventThreshold threshold, ILogger log)
    {
        JsonBody body = await JsonBody.ReadAsync(http.Request);
        MinLevel? level = body.Word<MinLevel>("level");
        if (body.Finish("level") is { } error)
        {
            return error.ToResult();
        }

        if (level is null)
        {
            return ClientBody.Invalid([new("level", "is missing")]).ToResult();
        }

        AdminAudit.Note(http, $"level {WordOf(threshold.Level)} -> {WordOf(level.Value)}");
        threshold.Level = level.Value;
        log.LogInformation(Events.LogLevelSet, "events are written from level {NewLevel} on until the next reload",
            WordOf(level.Value));
        return Results.Ok(LogLevelView.Of(threshold));
    }

    private static string WordOf(MinLevel level) => level.ToString().ToLowerInvariant();
}
