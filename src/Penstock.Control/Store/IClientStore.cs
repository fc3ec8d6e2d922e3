using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>What a client is to be.</summary>
/// <param name="Limit">With a plan, the plan's numbers.</param>
/// <param name="Tokens">Null: a client that exists keeps its tokens as far as the capacity has room, a new one is
/// full.</param>
/// <param name="Terms">What else is to be set for it; null: nothing.</param>
internal readonly record struct ClientPut(
    string ClientId, LimitConfig Limit, double? Tokens, ClientTerms? Terms = null);

/// <summary>The store cannot be read or written now. The message is the cause, fit for an operator: it never holds a
/// secret.</summary>
internal sealed class StoreException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Keeps registered clients. Calls are short, few, and never made by the data plane; each ends within seconds,
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
    void LoadAll(Action<ClientState> each);

    /// <summary>Runs reads and writes as one: no other edit comes between, and a failure leaves nothing
    /// behind.</summary>
    /// <param name="work">Uses the store by what it is given. It may be run a second time.</param>
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

    /// <summary>Saves what these buckets hold now, all or none. Clients that are gone stay gone.</summary>
    void SaveTokens(IEnumerable<ClientState> clients);

    /// <summary>Writes without a change, to find out whether writing works.</summary>
    void Probe();
}

/// <summary>What can be done within <see cref="IClientStore.Edit"/>.</summary>
internal interface IClientTransaction
{
    /// <summary>Null when there is no such client.</summary>
    ClientState? Find(string clientId);

    /// <summary>Those of these clients that there are, in any order.</summary>
    List<ClientState> FindAll(IReadOnlyList<string> clientIds);

    /// <summary>Creates or changes clients. No client twice.</summary>
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
