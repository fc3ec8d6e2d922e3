using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Cluster;

namespace Penstock.Control.Admin;

/// <summary><c>/cluster</c>: the nodes that share the store.</summary>
internal static class ClusterEndpoints
{
    public static void MapCluster(this IEndpointRouteBuilder app, ClusterMember? member) =>
        app.MapGet("/cluster", () => member is null ? NoCluster() : Results.Ok(Report(member)))
            .WithTags("Cluster").WithName("getCluster").WithSummary("Get the nodes that share the store")
            .WithDescription("Answers from this node's memory, also while the database is unreachable. 404 if the "
                + "store is not shared.")
            .Produces<ClusterReport>().Produces<ApiError>(404);

    private static IResult NoCluster() =>
        new ApiError(404, "this node does not share its store; to share one, set store: postgres://…").ToResult();

    private static ClusterReport Report(ClusterMember member)
    {
        ClusterState state = member.State;
        return new(
            state.NodeId,
            new()
            {
                Status = state.Fault is null ? "connected" : "alone",
                Since = state.ChangedAt,
                Cause = state.Fault,
                ClientsVersion = member.ClientsVersion,
                LeaseStatements = state.LeaseStatements,
                LeasedTokens = state.LeasedTokens,
                LeaseWaits = member.Leases.Waited,
                LeaseWaitTimeouts = member.Leases.WaitedInVain,
                LeaseWaiting = member.Leases.Waiting,
            },
            [.. state.Nodes.Select(node =>
                new NodeView(node.NodeId, node.Version, node.StartedAt, node.LastSeen, node.Alive))]);
    }
}
