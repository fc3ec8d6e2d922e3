using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Store;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Probes.</summary>
internal static class StatusEndpoints
{
    public static void MapStatus(this IEndpointRouteBuilder app, ProxyServer proxy, ClientDirectory directory)
    {
        app.MapGet("/livez", () => Results.Ok(new Liveness("alive")))
            .WithTags("Probes").WithName("livez").WithSummary("Is the process alive?")
            .WithDescription("Needs no token. Restart Penstock when this does not answer.")
            .Produces<Liveness>();

        app.MapGet("/readyz", () => Ready(proxy, directory))
            .WithTags("Probes").WithName("readyz").WithSummary("Should Penstock get traffic?")
            .WithDescription("Needs no token. 503 as soon as Penstock is told to stop. A failing store leaves it "
                + "ready but degraded: limits hold on from memory.")
            .Produces<Readiness>().Produces<Readiness>(503);
    }

    private static IResult Ready(ProxyServer proxy, ClientDirectory directory)
    {
        var stopping = proxy.Stopping;
        var storeFault = directory.StoreFault;
        var status = stopping ? "stopping" : storeFault is null ? "ready" : "degraded";
        var checks = new Dictionary<string, Check>
        {
            ["proxy"] = new(stopping ? "stopping" : "ok"),
            ["store"] = new(storeFault is null ? "ok" : "failing", storeFault),
        };
        return Results.Json(new Readiness(status, checks), statusCode: stopping ? 503 : 200);
    }
}
