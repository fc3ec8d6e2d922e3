using System.Buffers;
using System.Collections.Frozen;
using System.ComponentModel;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Admin;

namespace Penstock.Control.Dashboard;

/// <summary>The dashboard: its page at <c>/</c>, the stream of states that it reads, and the history for its charts.
/// </summary>
internal static class DashboardEndpoints
{
    private const string Prefix = "dashboard/";
    private const string First = "index.html";

    /// <summary>The first page where the API needs a token, so that it asks for one before it asks the API.</summary>
    private const string FirstWithToken = "with-token.html";

    /// <summary>The page loads nothing from elsewhere, runs no script but its own files, and makes no text into HTML.
    /// </summary>
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        + "require-trusted-types-for 'script'; trusted-types 'none'";

    private static readonly FrozenDictionary<string, PageFile> Files = Read();

    private sealed record PageFile(byte[] Bytes, string Type, string Tag);

    public static void MapDashboard(this IEndpointRouteBuilder app, LiveFeed feed, Marks marks, AdminTokens tokens)
    {
        app.MapGet("/", (HttpContext http) => Page(http, tokens.Exist ? FirstWithToken : First))
            .ExcludeFromDescription().WithMetadata(Needs.Nothing);
        app.MapGet($"/{Prefix}{{file}}", (HttpContext http, string file) => Page(http, file))
            .ExcludeFromDescription().WithMetadata(Needs.Nothing);

        app.MapGet("/events", (HttpContext http, CancellationToken left) => StreamAsync(http, feed, tokens, left))
            .WithTags("Dashboard").WithName("streamEvents").WithSummary("Read the state as it changes")
            .WithDescription("Server-sent events: `event: state` with one JSON object, at once, then every second and "
                + "soon after something happens. Rates and percentiles are over the last three seconds. A reader that "
                + "is too slow misses states. The stream ends when the tokens of the admin API change or Penstock "
                + "stops.")
            .Produces<LiveState>(200, "text/event-stream");

        app.MapGet("/history", (
                [Description("`15m` (default; steps of 5 seconds) or `24h` (steps of 5 minutes).")] string? window) =>
                feed.History.Read(window ?? "15m", marks) is { } history ? Results.Ok(history)
                    : ClientBody.Invalid([new("window", "must be 15m or 24h")]).ToResult())
            .WithTags("Dashboard").WithName("getHistory").WithSummary("Get the traffic of the past")
            .WithDescription("Kept in memory by this node; empty after a restart. At most "
                + $"{TrafficHistory.MaxSeries} upstreams and backends have lines of their own.")
            .Produces<HistoryView>().Errors(400);
    }

    private static IResult Page(HttpContext http, string name)
    {
        if (!Files.TryGetValue(name, out PageFile? file))
        {
            return Results.NotFound();
        }
        IHeaderDictionary fields = http.Response.Headers;
        fields.ContentSecurityPolicy = Policy;
        fields.CacheControl = "no-cache"; // asks each time whether it has changed, so that an upgrade shows at once
        return Results.Bytes(file.Bytes, file.Type, entityTag: new(file.Tag));
    }

    private static async Task StreamAsync(HttpContext http, LiveFeed feed, AdminTokens tokens, CancellationToken left)
    {
        HttpResponse response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        if (http.Features.Get<HeadOnly>() is not null)
        {
            return;
        }
        int known = tokens.Version;
        try
        {
            await foreach (byte[] state in feed.ReadAsync(left))
            {
                if (tokens.Version != known)
                {
                    return;
                }
                response.BodyWriter.Write("event: state\ndata: "u8);
                response.BodyWriter.Write(state);
                response.BodyWriter.Write("\n\n"u8);
                await response.BodyWriter.FlushAsync(left);
            }
        }
        catch (OperationCanceledException)
        {
            // The reader has left, or Penstock stops.
        }
    }

    private static FrozenDictionary<string, PageFile> Read()
    {
        Assembly assembly = typeof(DashboardEndpoints).Assembly;
        Dictionary<string, byte[]> files = assembly.GetManifestResourceNames()
            .Where(static name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .ToDictionary(static name => name[Prefix.Length..], name =>
            {
                using Stream stream = assembly.GetManifestResourceStream(name)!;
                byte[] bytes = new byte[stream.Length];
                stream.ReadExactly(bytes);
                return bytes;
            });
        files[FirstWithToken] = Encoding.UTF8.GetBytes(
            Encoding.UTF8.GetString(files[First]).Replace("data-token=\"no\"", "data-token=\"yes\""));
        return files.ToFrozenDictionary(static file => file.Key, static file => new PageFile(file.Value,
            TypeOf(file.Key), $"\"{Convert.ToHexString(SHA256.HashData(file.Value)[..8])}\""), StringComparer.Ordinal);
    }

    private static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
}
