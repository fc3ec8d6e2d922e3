using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Probes.</summary>
internal static class StatusEndpoints
{
    public static void MapStatus(
        this IEndpointRouteBuilder app, ProxyServer proxy, ClientDirectory directory, ClusterMember? member)
    {
        app.MapGet("/livez", () => Results.Ok(new Liveness("alive")))
            .WithTags("Probes").WithName("livez").WithSummary("Is the process alive?")
            .WithDescription("Needs no token. Restart Penstock when this does not answer.")
            .Produces<Liveness>();

        app.MapGet("/readyz", () => Ready(proxy, directory, member))
            .WithTags("Probes").WithName("readyz").WithSummary("Should Penstock get traffic?")
            .WithDescription("Needs no token. 503 as soon as Penstock is told to stop. A failing store leaves it "
                + "ready but degraded: limits hold on from memory. `cluster` is there when nodes share a store.")
            .Produces<Readiness>().Produces<Readiness>(503);
    }

    private static IResult Ready(ProxyServer proxy, ClientDirectory directory, ClusterMember? member)
    {
        bool stopping = proxy.Stopping;
        string? storeFault = directory.StoreFault;
        string? clusterFault = member?.State.Fault;
        string status = stopping ? "stopping" : storeFault is null && clusterFault is null ? "ready" : "degraded";
        var checks = new Dictionary<string, Check>
        {
            ["proxy"] = new(stopping ? "stopping" : "ok"),
            ["store"] = new(storeFault is null ? "ok" : "failing", storeFault),
        };
        if (member is not null)
        {
            checks["cluster"] = new(clusterFault is null ? "ok" : "failing", clusterFault is null ? null
                : $"{clusterFault}; this node goes on with its share of each limit");
        }
        return Results.Json(new Readiness(status, checks), AdminJson.Types.Readiness, statusCode: stopping ? 503 : 200);
    }
}
