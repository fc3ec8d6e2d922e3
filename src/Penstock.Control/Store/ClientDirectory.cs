using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

internal enum EditOutcome
{
    Created,
    Updated,
    Deleted,
    NotFound,
    Exists,
    PreconditionFailed,
    Invalid,
    StoreFailed,
}

/// <param name="Outcome">What came of the edit.</param>
/// <param name="Client">The client afterwards, when created or updated.</param>
/// <param name="Faults">When invalid.</param>
/// <param name="Cause">When the store failed.</param>
internal readonly record struct EditResult(
    EditOutcome Outcome, ClientTokens Client = default, IReadOnlyList<FieldFault>? Faults = null, string Cause = "");

/// <summary>The one place where registered clients change. Edits are serialised and go to the store first, then to
/// the limiter: an answer of success means both kept and in force, one of failure means neither.</summary>
/// <param name="leases">Where the store's tokens are shared by nodes; null where they are this process' own.</param>
internal sealed partial class ClientDirectory(
    IClientStore store, Limiter limiter, Leases? leases, ILogger<ClientDirectory> log)
{
    private static readonly EventId ClientChanged = new(1, "client_changed");
    private static readonly EventId ClientIgnored = new(2, "client_ignored");
    private static readonly EventId StoreFailing = new(3, "store_failing");
    private static readonly EventId StoreRecovered = new(4, "store_recovered");

    private readonly Lock _edits = new();
    private volatile string? _storeFault;
    private long _failingSince;

    /// <summary>Why the last use of the store failed; null while it works.</summary>
    public string? StoreFault => _storeFault;

    /// <summary>Registers what the store holds, with the tokens that came back meanwhile.</summary>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public void Load()
    {
        LoadPlans();
        store.LoadAll(client => TakeOver(client, client.Tokens));
    }

    /// <summary>Puts in force what the store holds, unless no limiter could hold to it.</summary>
    public void TakeOver(StoredClient client, double? tokens)
    {
        if (Limiter.Fault(client.Limit.Capacity, client.Limit.RatePerSecond) is { } fault)
            log.LogError(ClientIgnored, "client {Client} in the store is ignored: {Fault}", client.ClientId, fault);
        else if (leases is not null)
            leases.Apply(client.Shared with { Terms = Sound(client) });
        else
            limiter.Register(client.ClientId, client.Limit, tokens, Sound(client));
    }

    /// <summary>The client as it is now. Where nodes share the tokens, those in the shared bucket and at this node;
    /// while the store fails, as far as this node knows.</summary>
    public bool TryGet(string clientId, out ClientTokens client)
    {
        var known = limiter.TryGet(clientId, out client);
        StoredClient? stored = null;
        if (leases is null || _storeFault is not null || !TryStore(() => stored = store.Find(clientId))) return known;
        if (stored is not { } found) return false;
        client = new(clientId, found.Limit, SharedTokens(found, leases), found.Terms);
        return true;
    }

    private static double SharedTokens(StoredClient client, Leases leases) => Math.Min(client.Limit.Capacity,
        Math.Max(0, client.Tokens) + leases.BalanceOf(client.ClientId));

    /// <returns>False when the store failed.</returns>
    public bool TryPage(string after, string contains, int limit, out List<string> ids)
    {
        List<string> page = [];
        var done = TryStore(() => page = store.Page(after, contains, limit));
        ids = page;
        return done;
    }

    public EditResult Create(string clientId, ClientChange change, string who) => Edit(clientId, default, who, before =>
    {
        if (before is not null) return new(EditOutcome.Exists);
        var wanted = Settings.Of(null, change, PlanOf(change), limiter.Configured, partial: false);
        if (wanted.Faults.Count > 0) return new(EditOutcome.Invalid, Faults: wanted.Faults);
        var tokens = change.Tokens ?? wanted.Limit.Capacity;
        return store.Insert(clientId, wanted.Limit, tokens, wanted.Terms) is { } stored
            ? new(EditOutcome.Created, stored, tokens)
            : new(EditOutcome.Exists);
    });

    /// <summary>Creates or replaces; a client that exists keeps its tokens unless told otherwise.</summary>
    public EditResult Put(string clientId, ClientChange change, Preconditions when, string who) =>
        Edit(clientId, when, who, before => Update(clientId, before, change, partial: false));

    public EditResult Patch(string clientId, ClientChange change, Preconditions when, string who) =>
        Edit(clientId, when, who, before => before is { } client
            ? Update(clientId, client, change, partial: true)
            : new(EditOutcome.NotFound));

    public EditResult Reset(string clientId, Preconditions when, string who) => Edit(clientId, when, who, before =>
        before is { } client
            ? new(EditOutcome.Updated, store.Put(clientId, client.Limit, client.Limit.Capacity, client.Terms),
                client.Limit.Capacity)
            : new(EditOutcome.NotFound));

    public EditResult Delete(string clientId, Preconditions when, string who) => Edit(clientId, when, who, before =>
        new(store.Delete(clientId) || before is not null ? EditOutcome.Deleted : EditOutcome.NotFound));

    /// <summary>Saves what these clients hold at this moment: looked up here, between edits, so that a flush can
    /// never put an older value over an edit.</summary>
    /// <returns>False when the store failed and nothing was saved.</returns>
    public bool SaveTokens(IEnumerable<string> clientIds)
    {
        lock (_edits)
        {
            return TryStore(() => store.SaveTokens(
                clientIds.Select(id => limiter.TryGet(id, out var client) ? client : default)
                    .Where(client => client.ClientId is not null)));
        }
    }

    /// <summary>Finds out whether a failing store works again.</summary>
    public void Probe()
    {
        if (TryStore(store.Probe)) Works();
    }

    /// <summary>What an edit did to the store.</summary>
    /// <param name="Tokens">What it set the tokens to; null: they stay.</param>
    private readonly record struct Written(
        EditOutcome Outcome, StoredClient Stored = default, double? Tokens = null,
        IReadOnlyList<FieldFault>? Faults = null);

    private Written Update(string clientId, ClientTokens? before, ClientChange change, bool partial)
    {
        var wanted = Settings.Of(before, change, PlanOf(change), limiter.Configured, partial);
        if (wanted.Faults.Count > 0) return new(EditOutcome.Invalid, Faults: wanted.Faults);
        var limit = wanted.Limit;

        // the truth about tokens is in memory, or in the store where nodes share them
        var tokens = change.Tokens
            ?? (leases is null ? Math.Min(limit.Capacity, before?.Tokens ?? limit.Capacity) : null);
        return new(before is null ? EditOutcome.Created : EditOutcome.Updated,
            store.Put(clientId, limit, tokens, wanted.Terms),
            change.Tokens); // those of this instant stay, not those read above
    }

    private EditResult Edit(string clientId, Preconditions when, string who, Func<ClientTokens?, Written> change)
    {
        lock (_edits)
        {
            ClientTokens? before = null;
            Written written = default;
            if (!TryStore(() => written = store.Exclusively(() =>
                {
                    before = Before(clientId);
                    return when.Hold(before) ? change(before) : new(EditOutcome.PreconditionFailed);
                })))
            {
                return new(EditOutcome.StoreFailed, Cause: _storeFault!);
            }
            switch (written.Outcome)
            {
                case EditOutcome.Created or EditOutcome.Updated:
                    TakeOver(written.Stored, written.Tokens);
                    break;
                case EditOutcome.Deleted when leases is not null:
                    leases.Remove(clientId, long.MaxValue);
                    break;
                case EditOutcome.Deleted:
                    limiter.Unregister(clientId);
                    break;
                default:
                    return new(written.Outcome, Faults: written.Faults);
            }
            Works();

            ClientTokens? after = limiter.TryGet(clientId, out var found) ? found : null;
            log.LogInformation(ClientChanged, "client {Client} {Change} by {Who}: {Before} -> {After}",
                clientId, written.Outcome.ToString().ToLowerInvariant(), who, Words(before), Words(after));
            return new(written.Outcome, found);
        }
    }

    /// <summary>Where nodes share the store, another one's edit may not have come here yet.</summary>
    private ClientTokens? Before(string clientId)
    {
        if (leases is null) return limiter.TryGet(clientId, out var found) ? found : null;
        return store.Find(clientId) is { } stored ? new(clientId, stored.Limit, stored.Tokens, stored.Terms) : null;
    }

    /// <summary>Runs what uses the store, and logs when the store starts to fail.</summary>
    public bool TryStore(Action use)
    {
        try
        {
            use();
        }
        catch (StoreException e)
        {
            if (Interlocked.Exchange(ref _storeFault, e.Message) is null)
            {
                Interlocked.Exchange(ref _failingSince, Stopwatch.GetTimestamp());
                log.LogError(StoreFailing, "client store is failing: {Cause}; limits hold on from memory, edits are "
                    + "refused, tokens are saved when it works again", e.Message);
            }
            return false;
        }
        return true;
    }

    /// <summary>Something was written: the store does not fail any more. That something can be read says nothing, a
    /// full disk or a locked file lets that be.</summary>
    private void Works()
    {
        if (Interlocked.Exchange(ref _storeFault, null) is { } cause)
        {
            log.LogInformation(StoreRecovered, "client store works again, it failed for {Seconds} s: {Cause}",
                (long)Stopwatch.GetElapsedTime(Interlocked.Read(ref _failingSince)).TotalSeconds, cause);
        }
    }

}
