using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>One edit by any node: of a client, of a plan, of backends, or the deletion of a client.</summary>
/// <param name="Version">Increases from edit to edit.</param>
/// <param name="DeletedId">The id of a deleted client, if <paramref name="Client"/> and <paramref name="Plan"/> are
/// null; empty: a plan was deleted, or backends have changed.</param>
internal readonly record struct StoredEdit(
    long Version, ClientState? Client = null, PlanNumbers? Plan = null, string DeletedId = "");
