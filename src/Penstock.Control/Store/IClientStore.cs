using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>A client in the store, with the tokens in its bucket at this moment: what it refilled while nobody looked
/// is counted in.</summary>
/// <param name="Limit">With a plan, the plan's numbers.</param>
/// <param name="Shared">What nodes need to know besides, in a store that several share.</param>
/// <param name="Terms">What else is set for it; null: nothing.</param>
internal readonly record struct StoredClient(
    string ClientId, LimitConfig Limit, double Tokens, SharedClient Shared = default, ClientTerms? Terms = null);

/// <summary>What a client is to be.</summary>
/// <param name="Limit">With a plan, the plan's numbers.</param>
/// <param name="Tokens">Null: as in <see cref="IClientStore.Put"/>.</param>
/// <param name="Terms">What else is to be set for it; null: nothing.</param>
internal readonly record struct ClientPut(
    string ClientId, LimitConfig Limit, double? Tokens, ClientTerms? Terms = null);

/// <summary>The store cannot be read or written now. The message is the cause, fit for an operator: it never holds a
/// secret.</summary>
internal sealed class StoreException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Registered clients, kept. Calls are short, few, and never made by the data plane; each ends within seconds,
/// whatever happens to the store. Thread-safe. All but <see cref="Name"/>, <see cref="SharesTokens"/> and Dispose throw
/// <see cref="StoreException"/>.</summary>
internal interface IClientStore : IDisposable
{
    /// <summary>For messages: without secrets.</summary>
    string Name { get; }

    /// <summary>The tokens in this store are those that several nodes share. Otherwise they are a copy of those in
    /// this process' memory.</summary>
    bool SharesTokens { get; }

    /// <summary>Hands over every client, one at a time.</summary>
    void LoadAll(Action<StoredClient> each);

    /// <summary>Runs reads and an edit as one: no other node's edit comes between, and a failure leaves nothing
    /// behind.</summary>
    T Exclusively<T>(Func<T> work);

    /// <summary>Null when there is no such client.</summary>
    StoredClient? Find(string clientId);

    /// <summary>Null when the client exists.</summary>
    StoredClient? Insert(string clientId, LimitConfig limit, double tokens, ClientTerms? terms = null);

    /// <summary>Creates or changes a client.</summary>
    /// <param name="tokens">Null: a client that exists keeps its tokens as far as the capacity has room, a new one is
    /// full.</param>
    StoredClient Put(string clientId, LimitConfig limit, double? tokens, ClientTerms? terms = null);

    /// <summary>False when there is no such client.</summary>
    bool Delete(string clientId);

    /// <summary>Up to <paramref name="limit"/> ids after <paramref name="after"/>, in the order of their UTF-8 octets,
    /// that contain <paramref name="contains"/> (ASCII letters of either case are equal).</summary>
    List<string> Page(string after, string contains, int limit);

    /// <summary>Up to <paramref name="limit"/> clients after <paramref name="after"/>, in the order of
    /// <see cref="Page"/>.</summary>
    List<StoredClient> Read(string after, int limit);

    /// <summary>Those of these clients that there are, in any order.</summary>
    List<StoredClient> FindAll(IReadOnlyList<string> clientIds);

    /// <summary>Creates or changes clients as <see cref="Put"/> does, all or none. No client twice. Only within
    /// <see cref="Exclusively"/>.</summary>
    /// <returns>All of them as they are now, in any order.</returns>
    List<StoredClient> PutAll(IReadOnlyList<ClientPut> clients);

    /// <summary>All plans, ordered by name.</summary>
    List<PlanNumbers> Plans();

    /// <summary>Creates a plan, or changes its numbers.</summary>
    PlanNumbers PutPlan(string name, LimitConfig numbers);

    /// <summary>Deletes a plan that no client has.</summary>
    /// <returns>False when there is no such plan.</returns>
    bool DeletePlan(string name);

    /// <summary>How many clients have a plan, by its name; plans without clients may be missing.</summary>
    /// <param name="name">Only of this plan; null: of all.</param>
    Dictionary<string, long> CountPlanned(string? name = null);

    /// <summary>Saves what these buckets hold now, all or none. Clients that are gone stay gone.</summary>
    void SaveTokens(IEnumerable<ClientTokens> clients);

    /// <summary>Fails as the next write would.</summary>
    void Probe();
}
