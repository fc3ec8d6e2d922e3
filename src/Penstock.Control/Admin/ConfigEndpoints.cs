using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary><c>GET /config</c> and <c>POST /reload</c>.</summary>
internal static class ConfigEndpoints
{
    private const string Yaml = "application/yaml"; // RFC 9512

    public static void MapConfig(this IEndpointRouteBuilder app, Reloader reloader)
    {
        app.MapGet("/config", (HttpRequest request) => request.Headers.Accept.ToString()
                .Contains(Yaml, StringComparison.OrdinalIgnoreCase)
                ? Results.Text(SettingsText.Write(reloader.Current.Settings, withDefaults: true), Yaml)
                : Results.Ok(ConfigView.Of(reloader)))
            .WithTags("Configuration").WithName("getConfig").WithSummary("Show the configuration in force")
            .WithDescription("Lists every value with its origin: file and line, variable, option, or `default`. "
                + "Secrets are hidden. Keys that are read only at start show what the file says now. "
                + $"`Accept: {Yaml}` gets it as YAML.")
            .Produces<ConfigView>();

        app.MapGet("/reload", () => Results.Ok(LastOf(reloader)))
            .WithTags("Configuration").WithName("getReload").WithSummary("Show the last reload")
            .WithDescription("By `POST /reload`, the signal HUP, or a changed file: what it changed, or all errors of "
                + "the file.")
            .Produces<LastReload>();

        app.MapPost("/reload", (HttpContext http) => Answer(http, reloader.Reload()))
            .WithTags("Configuration").WithName("reload").WithSummary("Read the configuration file again")
            .WithDescription("Applies listeners, upstreams, backends, routes, limits, timeouts, bounds and logs "
                + "without a restart; health, buckets and connections are kept. If the file has an error, nothing "
                + "changes and all errors are listed. The signal HUP does the same.")
            .Produces<Reloaded>().Errors(400, 409);
    }

    private static LastReload LastOf(Reloader reloader) => reloader.Last is not { } last ? new(null, null, [], [], [])
        : new(last.At, last.Result.Error, last.Result.Changes, [.. last.Result.Diagnostics.Select(Remark)],
            last.Result.RestartNeeded);

    private static IResult Answer(HttpContext http, ReloadResult result)
    {
        AdminAudit.Note(http, result.Error ?? result.Summary);
        if (result.Error is null)
        {
            return Results.Ok(new Reloaded(
                result.Changes, [.. result.Diagnostics.Select(Remark)], result.RestartNeeded));
        }

        return new ApiError(result.Diagnostics.Count == 0 ? 409 : 400,
            $"nothing was changed: {result.Error}", [.. result.Diagnostics.Select(Remark)]).ToResult();
    }

    private static Store.FieldFault Remark(Diagnostic remark) => new($"{remark.File}:{remark.Line}:{remark.Column}",
        remark.Hint is null ? remark.Message : $"{remark.Message}; {remark.Hint}");
}

internal sealed record Reloaded(
    [property: Description("What has changed: `+` was added, `-` was removed, `~` has another value.")]
    IReadOnlyList<string> Changes,
    [property: Description("Warnings about the file.")] IReadOnlyList<Store.FieldFault> Warnings,
    [property: Description("Keys that have changed, but take effect only after a restart.")]
    IReadOnlyList<string> RestartNeeded);

internal sealed record LastReload(
    [property: Description("Null: there was none since the start.")] DateTimeOffset? Time,
    [property: Description("Why nothing was changed; null: the new configuration is in force.")] string? Error,
    [property: Description("What has changed: `+` was added, `-` was removed, `~` has another value.")]
    IReadOnlyList<string> Changes,
    [property: Description("Errors and warnings about the file.")] IReadOnlyList<Store.FieldFault> Remarks,
    [property: Description("Keys that have changed, but take effect only after a restart.")]
    IReadOnlyList<string> RestartNeeded);

internal sealed record ConfigView(
    [property: Description("The file or directory; null: options of the command line.")] string? File,
    [property: Description("When it was read.")] DateTimeOffset ReadAt,
    [property: Description("The last reload failed, so the file now says something else.")] bool ReloadFailed,
    [property: Description("Every value, in the order of the reference.")] IReadOnlyList<SettingView> Settings)
{
    public static ConfigView Of(Reloader reloader) => new(reloader.Current.File, reloader.LastRead,
        reloader.LastError is not null,
        [.. reloader.Current.Settings.SelectMany(static setting => setting.Leaves(setting.Name))
            .Select(static leaf => new SettingView(leaf.Path, leaf.Setting.Text!, leaf.Setting.Origin))]);
}

internal sealed record SettingView(
    [property: Description("Such as `upstreams.web.backends[0].weight`.")] string Key,
    [property: Description("As it is written; `***` is a secret.")] string Value,
    [property: Description("`penstock.yaml:12`, `penstock.yaml:12 ($PORT)`, an option, or `default`.")] string Origin);
