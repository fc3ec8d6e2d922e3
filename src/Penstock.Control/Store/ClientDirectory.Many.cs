using Microsoft.Extensions.Logging;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>How many clients an import made, changed, and found as they should be.</summary>
internal readonly record struct ImportCounts(int Created, int Updated, int Unchanged);

/// <param name="Done">False: nothing was changed.</param>
/// <param name="Counts">When done.</param>
/// <param name="Existing">Clients that there were already, where that is refused: by their places in what was
/// given.</param>
/// <param name="Cause">When the store failed.</param>
/// <param name="Faults">What no client can be, such as one of a plan that there is not.</param>
internal readonly record struct ImportResult(
    bool Done, ImportCounts Counts = default, IReadOnlyList<int>? Existing = null, string Cause = "",
    IReadOnlyList<(int Place, FieldFault Fault)>? Faults = null);

/// <summary>Many clients at once.</summary>
internal sealed partial class ClientDirectory
{
    private static readonly EventId ClientsImported = new(5, "clients_imported");

    /// <summary>Creates or changes all of these clients, or none. One that exists keeps its tokens unless told
    /// otherwise.</summary>
    /// <param name="clients">No client twice, and nothing that <see cref="ClientChange.Faults"/> would name.</param>
    /// <param name="createOnly">Refuse it all when one exists.</param>
    /// <param name="dryRun">Only tell what would be done.</param>
    /// <param name="who">For the log.</param>
    public ImportResult Import(IReadOnlyList<ClientRow> clients, bool createOnly, bool dryRun, string who)
    {
        lock (_edits)
        {
            ImportPlan plan = new();
            List<StoredClient> stored = [];
            if (!TryStore(() => store.Exclusively(() =>
                {
                    plan = Plan(clients);
                    stored = dryRun || plan.Faults.Count > 0 || (createOnly && plan.Existing.Count > 0)
                        ? [] : store.PutAll(plan.Changed);
                    return true;
                })))
            {
                return new(false, Cause: _storeFault!);
            }
            if (plan.Faults.Count > 0) return new(false, Faults: plan.Faults);
            if (createOnly && plan.Existing.Count > 0) return new(false, Existing: plan.Existing);
            if (stored.Count > 0) Works();
            foreach (var client in stored)
                TakeOver(client, plan.TokensSet.TryGetValue(client.ClientId, out var tokens) ? tokens : null);
            if (!dryRun)
            {
                log.LogInformation(ClientsImported,
                    "clients imported by {Who}: {Created} created, {Updated} updated, {Unchanged} unchanged",
                    who, plan.Counts.Created, plan.Counts.Updated, plan.Counts.Unchanged);
            }
            return new(true, plan.Counts);
        }
    }

    /// <summary>Up to <paramref name="limit"/> clients after <paramref name="after"/>, as they are now.</summary>
    /// <param name="next">What to go on after; null when there are no more.</param>
    /// <returns>False when the store failed.</returns>
    public bool TryRead(string after, int limit, out List<ClientTokens> clients, out string? next)
    {
        List<StoredClient> page = [];
        var done = TryStore(() => page = store.Read(after, limit));
        clients = new(page.Count);
        foreach (var stored in page)
        {
            if (Now(stored) is { } client) clients.Add(client);
        }
        next = page.Count == limit ? page[^1].ClientId : null;
        return done;
    }

    private sealed class ImportPlan
    {
        public List<ClientPut> Changed { get; } = [];
        public List<int> Existing { get; } = [];
        public Dictionary<string, double> TokensSet { get; } = [];
        public List<(int Place, FieldFault Fault)> Faults { get; } = [];
        public ImportCounts Counts { get; set; }
    }

    private ImportPlan Plan(IReadOnlyList<ClientRow> clients)
    {
        var plan = new ImportPlan();
        var plans = store.Plans().ToDictionary(static known => known.Name);
        var before = store.FindAll([.. clients.Select(static client => client.ClientId)])
            .ToDictionary(static client => client.ClientId);
        for (var i = 0; i < clients.Count; i++)
        {
            var exists = before.TryGetValue(clients[i].ClientId, out var stored);
            ClientTokens? now = exists ? Now(stored) : null;
            if (exists) plan.Existing.Add(i);
            var wanted = Settings.Of(exists ? new(stored.ClientId, stored.Limit, stored.Tokens, stored.Terms) : null,
                clients[i].Change, new(plans), limiter.Configured, partial: false);
            plan.Faults.AddRange(wanted.Faults.Select(fault => (i, fault)));
            if (wanted.Faults.Count > 0) continue;
            var client = new ClientPut(clients[i].ClientId, wanted.Limit, clients[i].Change.Tokens, wanted.Terms);
            if (exists && IsSo(client, stored, now)) continue;

            // the truth about tokens is in memory, or in the store where nodes share them
            var kept = leases is null ? Math.Min(client.Limit.Capacity, now?.Tokens ?? client.Limit.Capacity)
                : (double?)null;
            plan.Changed.Add(client with { Tokens = client.Tokens ?? kept });
            if (client.Tokens is { } set) plan.TokensSet.Add(client.ClientId, set);
        }
        var (created, changed) = (clients.Count - plan.Existing.Count, plan.Changed.Count);
        plan.Counts = new(created, changed - created, clients.Count - changed);
        return plan;
    }

    /// <summary>As exact as tokens are ever shown: what was just exported changes nothing when it is imported.
    /// </summary>
    private static bool IsSo(ClientPut wanted, StoredClient stored, ClientTokens? now) =>
        stored.Limit == wanted.Limit && stored.Terms == wanted.Terms
        && (wanted.Tokens is not { } tokens || (now is { } has && Math.Abs(has.Tokens - tokens) <= 0.001));

    /// <summary>With the tokens of this moment. Null: the limiter does not hold to it (its limit is out of bounds, or
    /// it is just being deleted).</summary>
    private ClientTokens? Now(StoredClient stored)
    {
        if (leases is not null)
            return new(stored.ClientId, stored.Limit, SharedTokens(stored, leases), stored.Terms);
        return limiter.TryGet(stored.ClientId, out var client) ? client : null;
    }
}
