using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

internal sealed record RejectionPage(IReadOnlyList<Rejection> Items);

internal sealed record LimitedClientPage(IReadOnlyList<LimitedClient> Items);

/// <summary><c>/rejections</c>: whom the limits rejected.</summary>
internal static class RejectionEndpoints
{
    private const int DefaultCount = 100;
    private const int MaxCount = 1000;

    public static void MapRejections(this IEndpointRouteBuilder app, ProxyServer proxy)
    {
        app.MapGet("/rejections", (
                [Description("Most rejections to return, 1 to 1000; 100 when absent.")] string? limit) =>
                Counted(limit, count => new RejectionPage(proxy.LastRejections(count))))
            .WithTags("Rejections").WithName("listRejections").WithSummary("The last requests that limits rejected")
            .WithDescription("The newest first, of the last 256 of each event loop. A client is listed under a limit "
                + "at most once a second; `times` tells how often it was rejected since it was last listed.")
            .Produces<RejectionPage>().Produces<ApiError>(400);

        app.MapGet("/rejections/top", (
                [Description("Most clients to return, 1 to 1000; 100 when absent.")] string? limit) =>
                Counted(limit, count => new LimitedClientPage(proxy.MostLimited(count))))
            .WithTags("Rejections").WithName("listLimitedClients").WithSummary("The clients that are rejected most")
            .WithDescription("Since the start, counted in constant memory: a client that is rejected seldom may be "
                + "missing, and `error` bounds by how much a count can be too high.")
            .Produces<LimitedClientPage>().Produces<ApiError>(400);
    }

    private static IResult Counted<T>(string? text, Func<int, T> read)
    {
        int count = DefaultCount;
        return text is null || (int.TryParse(text, out count) && count is >= 1 and <= MaxCount)
            ? Results.Ok(read(count))
            : new ApiError(400, "the query is not valid",
                [new("limit", $"must be a whole number from 1 to {MaxCount}")]).ToResult();
    }
}
