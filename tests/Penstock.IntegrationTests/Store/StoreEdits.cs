using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.IntegrationTests.Store;

/// <summary>Edits of one client or plan, each in a separate transaction.</summary>
internal static class StoreEdits
{
    public static ClientState Put(
        this IClientStore store, string id, LimitConfig limit, double? tokens, ClientTerms? terms = null) =>
        store.Edit(edit => edit.Put(new(id, limit, tokens, terms)));

    public static List<ClientState> PutAll(this IClientStore store, IReadOnlyList<ClientPut> clients) =>
        store.Edit(edit => edit.PutAll(clients));

    public static List<ClientState> FindAll(this IClientStore store, IReadOnlyList<string> ids) =>
        store.Edit(edit => edit.FindAll(ids));

    public static bool Delete(this IClientStore store, string id) => store.Edit(edit => edit.Delete(id));

    public static PlanNumbers PutPlan(this IClientStore store, string name, LimitConfig numbers) =>
        store.Edit(edit => edit.PutPlan(name, numbers));

    public static bool DeletePlan(this IClientStore store, string name) =>
        store.Edit(edit => edit.DeletePlan(name));
}
