using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>How many clients an import created, updated and left unchanged.</summary>
internal readonly record struct ImportCounts(int Created, int Updated, int Unchanged);

/// <param name="Done">False: nothing was changed.</param>
/// <param name="Counts">If done.</param>
/// <param name="Existing">If existing clients are rejected: their indexes in the imported list.</param>
/// <param name="Cause">Why the store failed.</param>
/// <param name="Faults">Rows that are invalid, for example because they name a plan that does not exist.</param>
internal readonly record struct ImportResult(
    bool Done, ImportCounts Counts = default, IReadOnlyList<int>? Existing = null, string Cause = "",
    IReadOnlyList<(int Row, FieldFault Fault)>? Faults = null);

/// <summary>Many clients at once.</summary>
internal sealed partial class ClientDirectory
{
    /// <summary>Creates or changes all of these clients, or none. An existing client keeps its tokens unless its row
    /// sets them.</summary>
    /// <param name="clients">No client twice, and only rows without <see cref="ClientChange.Faults"/>.</param>
    /// <param name="createOnly">Reject all rows if one of the clients exists.</param>
    /// <param name="dryRun">Change nothing; only count.</param>
    public ImportResult Import(IReadOnlyList<ClientRow> clients, bool createOnly, bool dryRun)
    {
        lock (_edits)
        {
            if (!TryWrite(() => store.Edit(edit => Import(edit, clients, createOnly, dryRun)),
                out (ImportPlan Plan, List<ClientState> Stored) import))
            {
                return new(false, Cause: Cause);
            }

            (ImportPlan plan, List<ClientState> stored) = import;
            if (plan.Faults.Count > 0)
            {
                return new(false, Faults: plan.Faults);
            }

            if (createOnly && plan.Existing.Count > 0)
            {
                return new(false, Existing: plan.Existing);
            }

            if (stored.Count > 0)
            {
                NoteRecovery();
            }

            foreach (ClientState client in stored)
            {
                PutInForce(client, keepsTokens: !plan.TokensSet.Contains(client.ClientId));
            }
            return new(true, plan.Counts);
        }
    }

    private (ImportPlan Plan, List<ClientState> Stored) Import(
        IClientTransaction edit, IReadOnlyList<ClientRow> clients, bool createOnly, bool dryRun)
    {
        ImportPlan plan = Plan(edit, clients);
        return (plan, dryRun || plan.Faults.Count > 0 || (createOnly && plan.Existing.Count > 0)
            ? [] : edit.PutAll(plan.Changed));
    }

    /// <summary>Up to <paramref name="limit"/> clients after <paramref name="after"/>, as they are now.</summary>
    /// <param name="next">The <paramref name="after"/> of the next call; null when there are no more clients.</param>
    /// <returns>False when the store failed.</returns>
    public bool TryRead(string after, int limit, out List<ClientState> clients, out string? next)
    {
        clients = [];
        next = null;
        if (!TryUse<List<ClientState>>(() => store.Read(after, limit), out List<ClientState>? page))
        {
            return false;
        }

        clients.AddRange(page.Select(Now).OfType<ClientState>());
        next = page.Count == limit ? page[^1].ClientId : null;
        return true;
    }

    private sealed class ImportPlan
    {
        public List<ClientPut> Changed { get; } = [];
        public List<int> Existing { get; } = [];
        public HashSet<string> TokensSet { get; } = [];
        public List<(int Row, FieldFault Fault)> Faults { get; } = [];
        public ImportCounts Counts { get; set; }
    }

    private ImportPlan Plan(IClientTransaction edit, IReadOnlyList<ClientRow> clients)
    {
        var plan = new ImportPlan();
        var plans = edit.Plans().ToDictionary(static known => known.Name);
        var before = edit.FindAll([.. clients.Select(static client => client.ClientId)])
            .ToDictionary(static client => client.ClientId);
        for (int i = 0; i < clients.Count; i++)
        {
            bool exists = before.TryGetValue(clients[i].ClientId, out ClientState stored);
            ClientState? now = exists ? Now(stored) : null;
            if (exists)
            {
                plan.Existing.Add(i);
            }

            var wanted = Settings.Of(
                exists ? stored : null, clients[i].Change, new(plans), limiter.Configured, partial: false);
            plan.Faults.AddRange(wanted.Faults.Select(fault => (i, fault)));
            if (wanted.Faults.Count > 0)
            {
                continue;
            }

            var client = new ClientPut(clients[i].ClientId, wanted.Limit, clients[i].Change.Tokens, wanted.Terms);
            if (exists && IsSo(client, stored, now))
            {
                continue;
            }

            plan.Changed.Add(client with { Tokens = client.Tokens ?? KeptTokens(now, client.Limit.Capacity) });
            if (client.Tokens is not null)
            {
                plan.TokensSet.Add(client.ClientId);
            }
        }
        (int created, int changed) = (clients.Count - plan.Existing.Count, plan.Changed.Count);
        plan.Counts = new(created, changed - created, clients.Count - changed);
        return plan;
    }

    /// <summary>Compares tokens as exactly as they are shown (0.001), so that importing an export changes nothing.
    /// </summary>
    private static bool IsSo(ClientPut wanted, ClientState stored, ClientState? now) =>
        stored.Limit == wanted.Limit && stored.Terms == wanted.Terms
        && (wanted.Tokens is not { } tokens || (now is { } has && Math.Abs(has.Tokens - tokens) <= 0.001));

    /// <summary>The client with its current tokens. Null if the limiter does not have it: its limit is out of range, or
    /// it is being deleted.</summary>
    private ClientState? Now(ClientState stored)
    {
        if (store.SharesTokens)
        {
            return stored with { Tokens = SharedTokens(stored) };
        }

        return limiter.Clients.TryGet(stored.ClientId, out ClientState client) ? client : null;
    }
}
