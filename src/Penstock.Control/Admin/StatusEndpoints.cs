using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Acme;
using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>Liveness, readiness, and the whole state on one page.</summary>
internal static class StatusEndpoints
{
    public static void MapStatus(this IEndpointRouteBuilder app, AdminSubjects subjects, TimeProvider time)
    {
        (ProxyServer proxy, ClientDirectory directory, ClusterMember? member) =
            (subjects.Proxy, subjects.Directory, subjects.Member);
        app.MapGet("/status", () => Results.Ok(StatusReport.Of(subjects, time.GetUtcNow())))
            .WithTags("Status").WithName("getStatus").WithSummary("Get the state of this Penstock on one page")
            .WithDescription("Version, listeners, counts of requests, limits, store, the last reload, and warnings. "
                + "Counts are since the start.")
            .Produces<StatusReport>();

        app.MapGet("/livez", () => Results.Ok(new Liveness("alive")))
            .WithMetadata(Needs.Nothing).WithTags("Probes").WithName("livez").WithSummary("Is the process alive?")
            .WithDescription("Needs no token. Restart Penstock if this does not answer.")
            .Produces<Liveness>();

        app.MapGet("/readyz", () => Ready(proxy, directory, member, subjects.Certificates, time.GetUtcNow()))
            .WithMetadata(Needs.Nothing).WithTags("Probes").WithName("readyz")
            .WithSummary("Should Penstock get traffic?")
            .WithDescription("Needs no token. 503 while Penstock stops. If the store fails, the status is `degraded` "
                + "with 200: limits are enforced from memory. The check `cluster` exists if nodes share the store, "
                + "`certificates` if a listener has TLS or Penstock gets certificates by ACME: `expiring` up to 30 "
                + "days before one expires, `failing` and `degraded` if one cannot be got or renewed.")
            .Produces<Readiness>().Produces<Readiness>(503);
    }

    private static IResult Ready(
        ProxyServer proxy, ClientDirectory directory, ClusterMember? member, CertificateKeeper keeper,
        DateTimeOffset now)
    {
        bool stopping = proxy.Stopping;
        string? storeFault = directory.StoreFault;
        string? clusterFault = member?.State.Warning;
        string? certificateFault = keeper.Warning;
        string status = stopping ? "stopping"
            : (storeFault ?? clusterFault ?? certificateFault) is null ? "ready" : "degraded";
        var checks = new Dictionary<string, Check>
        {
            ["proxy"] = new(stopping ? "stopping" : "ok"),
            ["store"] = new(storeFault is null ? "ok" : "failing", storeFault),
        };
        if (member is not null)
        {
            checks["cluster"] = new(clusterFault is null ? "ok" : "failing", clusterFault);
        }
        if (proxy.Certificates().Count + keeper.Statuses.Count > 0)
        {
            string warnings = string.Join("; ", ExpiryWatch.Warnings(proxy, now));
            checks["certificates"] = certificateFault is not null ? new("failing", certificateFault)
                : warnings.Length == 0 ? new("ok") : new("expiring", warnings);
        }
        return Results.Json(new Readiness(status, checks), AdminJson.Types.Readiness, statusCode: stopping ? 503 : 200);
    }
}
