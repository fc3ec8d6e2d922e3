using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

internal sealed record RejectionPage(IReadOnlyList<Rejection> Items);

internal sealed record LimitedClientPage(
    IReadOnlyList<LimitedClient> Items,
    [property: Description("Buckets in use that were given to other clients since the start, because the table was "
        + "full: their clients started with full buckets again. More than 0: `clients.max_tracked` is too small.")]
    long DisplacedBuckets);

/// <summary><c>/rejections</c>: the clients that limits rejected; <c>/buckets/lowest</c>: those that may be
/// next.</summary>
internal static class RejectionEndpoints
{
    private const int DefaultCount = 100;
    private const int MaxCount = 1000;

    public static void MapRejections(this IEndpointRouteBuilder app, ProxyServer proxy)
    {
        app.MapGet("/rejections", (
                [Description("How many rejections to return at most, 1 to 1000; default 100.")] string? limit) =>
                Counted(limit, count => new RejectionPage(proxy.LastRejections(count))))
            .WithTags("Rejections").WithName("listRejections").WithSummary("The last requests that limits rejected")
            .WithDescription("The newest first; each event loop keeps the last 256. A client is listed under a limit "
                + "at most once a second; `times` says how often it was rejected since it was last listed.")
            .Produces<RejectionPage>().Produces<ApiError>(400);

        app.MapGet("/rejections/top", (
                [Description("How many clients to return at most, 1 to 1000; default 100.")] string? limit) =>
                Counted(limit, count => new LimitedClientPage(proxy.MostLimited(count), proxy.Limiter.Displaced)))
            .WithTags("Rejections").WithName("listLimitedClients").WithSummary("The clients with the most rejections")
            .WithDescription("Since the start, counted in constant memory: a client with few rejections may be "
                + "missing, and a count is too high by at most `error`.")
            .Produces<LimitedClientPage>().Produces<ApiError>(400);
    }

    public static void MapBuckets(this IEndpointRouteBuilder app, ProxyServer proxy) =>
        app.MapGet("/buckets/lowest", (
                [Description("How many clients to return at most, 1 to 1000; default 100.")] string? limit) =>
                Counted(limit, count => LowestBuckets.Of(proxy.Limiter, count)))
            .WithTags("Rejections").WithName("listLowestBuckets")
            .WithSummary("The registered clients with the emptiest buckets")
            .WithDescription("By the share of tokens that is left; clients with full buckets are left out. With nodes "
                + "that share tokens, those at this node. Penstock keeps no names of unregistered clients, so these "
                + "are found only when they are rejected.")
            .Produces<LowestBuckets>().Produces<ApiError>(400);

    private static IResult Counted<T>(string? text, Func<int, T> read)
    {
        int count = DefaultCount;
        return text is null || (int.TryParse(text, out count) && count is >= 1 and <= MaxCount)
            ? Results.Ok(read(count))
            : new ApiError(400, "the query is invalid",
                [new("limit", $"must be a whole number from 1 to {MaxCount}")]).ToResult();
    }
}
