using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>One edit that some node made: of a client, of a plan, or a client's end.</summary>
/// <param name="Version">Grows from edit to edit.</param>
/// <param name="DeletedId">When it is neither of the others.</param>
internal readonly record struct StoredEdit(
    long Version, ClientState? Client = null, PlanNumbers? Plan = null, string DeletedId = "");
