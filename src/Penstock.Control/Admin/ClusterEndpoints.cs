using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Cluster;

namespace Penstock.Control.Admin;

/// <summary><c>/cluster</c>: who shares the store.</summary>
internal static class ClusterEndpoints
{
    public static void MapCluster(this IEndpointRouteBuilder app, ClusterMember? member) =>
        app.MapGet("/cluster", () => member is null ? NoCluster() : Results.Ok(Report(member)))
            .WithTags("Cluster").WithName("getCluster").WithSummary("Look at the nodes that share the store")
            .WithDescription("From this node's memory: it answers while the database is away. 404 when the store is "
                + "this process' own.")
            .Produces<ClusterReport>().Produces<ApiError>(404);

    private static IResult NoCluster() =>
        new ApiError(404, "this node has its store for itself; nodes share one with store: postgres://…").ToResult();

    private static ClusterReport Report(ClusterMember member)
    {
        ClusterState state = member.State;
        return new(
            state.NodeId,
            new(state.Fault is null ? "connected" : "alone", state.ChangedAt, state.Fault, member.ClientsVersion,
                state.LeaseStatements, state.LeasedTokens,
                member.Leases.Waited, member.Leases.WaitedInVain, member.Leases.Waiting),
            [.. state.Nodes.Select(node =>
                new NodeView(node.NodeId, node.Version, node.StartedAt, node.LastSeen, node.Alive))]);
    }
}
