using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>A client to create or change.</summary>
/// <param name="Limit">Its numbers; with a plan, the plan's numbers.</param>
/// <param name="Tokens">Null: an existing client keeps its tokens, at most the capacity; a new client is full.</param>
/// <param name="Terms">Its plan, access and numbers for named limits; null: none.</param>
internal readonly record struct ClientPut(
    string ClientId, LimitConfig Limit, double? Tokens, ClientTerms? Terms = null);

/// <summary>The store cannot be read or written now. The message says the cause, is meant for the operator and never
/// contains a secret.</summary>
internal sealed class StoreException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A backend that the admin API added and that the store keeps.</summary>
/// <param name="Settings">The JSON with which it was added.</param>
internal readonly record struct StoredBackend(string Upstream, string Address, string Settings);

/// <summary>Keeps registered clients, plans, and backends that the admin API added. Calls are short and few, and the
/// data plane makes none; each ends within seconds, even if the store fails. Thread-safe. All methods except Dispose
/// throw <see cref="StoreException"/>.</summary>
internal interface IClientStore : IDisposable
{
    /// <summary>The store's name for messages, without secrets.</summary>
    string Name { get; }

    /// <summary>True: several nodes share the tokens in this store. False: they are a copy of the tokens in this
    /// process's memory.</summary>
    bool SharesTokens { get; }

    /// <summary>False: the store ends with this process.</summary>
    bool IsLasting { get; }

    /// <summary>Reads every client, one at a time.</summary>
    void LoadAll(Action<ClientState> each);

    /// <summary>Runs reads and writes as one transaction: no other edit runs at the same time, and a failure changes
    /// nothing.</summary>
    /// <param name="work">Uses only the transaction that it gets. It may run a second time.</param>
    T Edit<T>(Func<IClientTransaction, T> work);

    /// <summary>Null when there is no such client.</summary>
    ClientState? Find(string clientId);

    /// <summary>Up to <paramref name="limit"/> ids after <paramref name="after"/>, in the order of their UTF-8 bytes,
    /// that contain <paramref name="contains"/> (ASCII letters of either case are equal).</summary>
    List<string> Page(string after, string contains, int limit);

    /// <summary>Up to <paramref name="limit"/> clients after <paramref name="after"/>, in the order of
    /// <see cref="Page"/>.</summary>
    List<ClientState> Read(string after, int limit);

    /// <summary>All plans, ordered by name.</summary>
    List<PlanNumbers> Plans();

    /// <summary>How many clients have a plan, by its name; plans without clients may be missing.</summary>
    Dictionary<string, long> CountPlanned();

    /// <summary>Saves the tokens of these clients, all or none. Deleted clients are not created again.</summary>
    void SaveTokens(IEnumerable<ClientState> clients);

    /// <summary>The backends that the store keeps, ordered by upstream and address.</summary>
    List<StoredBackend> Backends();

    /// <summary>Keeps a backend; replaces one with the same upstream and address.</summary>
    void PutBackend(StoredBackend backend);

    /// <summary>False when the store does not keep such a backend.</summary>
    bool DeleteBackend(string upstream, string address);

    /// <summary>Writes without changing anything, to check whether writing works.</summary>
    void Probe();
}

/// <summary>The reads and writes within <see cref="IClientStore.Edit"/>.</summary>
internal interface IClientTransaction
{
    /// <summary>Null when there is no such client.</summary>
    ClientState? Find(string clientId);

    /// <summary>Those of these clients that exist, in any order.</summary>
    List<ClientState> FindAll(IReadOnlyList<string> clientIds);

    /// <summary>Creates or changes clients. The list must not contain a client twice.</summary>
    /// <returns>All of them as they are now, in any order.</returns>
    List<ClientState> PutAll(IReadOnlyList<ClientPut> clients);

    /// <summary>False when there is no such client.</summary>
    bool Delete(string clientId);

    /// <summary>All plans, ordered by name.</summary>
    List<PlanNumbers> Plans();

    /// <summary>Creates a plan, or changes its numbers.</summary>
    PlanNumbers PutPlan(string name, LimitConfig numbers);

    /// <summary>Deletes a plan that no client has.</summary>
    /// <returns>False when there is no such plan.</returns>
    bool DeletePlan(string name);

    /// <summary>How many clients have the plan.</summary>
    long CountPlanned(string name);

    /// <summary>Creates or changes one client.</summary>
    ClientState Put(ClientPut client) => PutAll([client])[0];
}
