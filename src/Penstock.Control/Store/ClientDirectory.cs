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
internal sealed class ClientDirectory(
    ClientStore store, Limiter limiter, TimeProvider time, ILogger<ClientDirectory> log)
{
    private static readonly EventId ClientChanged = new(1, "client_changed");
    private static readonly EventId ClientIgnored = new(2, "client_ignored");
    private static readonly EventId StoreFailing = new(3, "store_failing");
    private static readonly EventId StoreRecovered = new(4, "store_recovered");

    private readonly Lock _edits = new();
    private volatile string? _storeFault;

    /// <summary>Why the last use of the store failed; null while it works.</summary>
    public string? StoreFault => _storeFault;

    private long NowUnixMs => time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Registers what the store holds, with the tokens that came back meanwhile.</summary>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public void Load() => store.LoadAll(client =>
    {
        if (Limiter.Fault(client.Limit.Capacity, client.Limit.RatePerSecond) is { } fault)
            log.LogError(ClientIgnored, "client {Client} in the store is ignored: {Fault}", client.ClientId, fault);
        else
            limiter.Register(client.ClientId, client.Limit, client.TokensAt(NowUnixMs));
    });

    public bool TryGet(string clientId, out ClientTokens client) => limiter.TryGet(clientId, out client);

    /// <returns>False when the store failed.</returns>
    public bool TryPage(string after, string contains, int limit, out List<string> ids)
    {
        List<string> page = [];
        var done = TryStore(() => page = store.Page(after, contains, limit));
        ids = page;
        return done;
    }

    public EditResult Create(string clientId, ClientChange change, string who) => Edit(clientId, null, who, before =>
    {
        if (before is not null) return new(EditOutcome.Exists);
        var client = Merge(clientId, null, change);
        if (!store.Insert(client)) return new(EditOutcome.Exists);
        limiter.Register(clientId, client.Limit, client.Tokens);
        return new(EditOutcome.Created);
    });

    /// <summary>Creates or replaces; a client that exists keeps its tokens unless told otherwise.</summary>
    public EditResult Put(string clientId, ClientChange change, string? ifMatch, string who) =>
        Edit(clientId, ifMatch, who, before => Update(clientId, before, change));

    public EditResult Patch(string clientId, ClientChange change, string? ifMatch, string who) =>
        Edit(clientId, ifMatch, who, before => before is { } client
            ? Update(clientId, before, change.Over(client.Limit))
            : new(EditOutcome.NotFound));

    public EditResult Reset(string clientId, string who) => Edit(clientId, null, who, before =>
    {
        if (before is not { } client) return new(EditOutcome.NotFound);
        store.SaveTokens([client with { Tokens = client.Limit.Capacity }], NowUnixMs);
        limiter.Reset(clientId);
        return new(EditOutcome.Updated);
    });

    public EditResult Delete(string clientId, string? ifMatch, string who) => Edit(clientId, ifMatch, who, _ =>
    {
        var stored = store.Delete(clientId);
        return new(limiter.Unregister(clientId) || stored ? EditOutcome.Deleted : EditOutcome.NotFound);
    });

    /// <summary>Saves what these clients hold at this moment: looked up here, between edits, so that a flush can
    /// never put an older value over an edit.</summary>
    /// <returns>False when the store failed and nothing was saved.</returns>
    public bool SaveTokens(IEnumerable<string> clientIds)
    {
        lock (_edits)
        {
            return TryStore(() => store.SaveTokens(
                clientIds.Select(id => limiter.TryGet(id, out var client) ? client : default)
                    .Where(client => client.ClientId is not null),
                NowUnixMs));
        }
    }

    /// <summary>Finds out whether a failing store works again.</summary>
    public void Probe() => TryStore(store.Probe);

    private EditResult Update(string clientId, ClientTokens? before, ClientChange change)
    {
        if (change.Faults().ToList() is { Count: > 0 } faults) return new(EditOutcome.Invalid, Faults: faults);
        var client = Merge(clientId, before, change);
        store.Upsert(client);

        // without tokens of its own the change keeps those of this instant, not those read above
        limiter.Register(clientId, client.Limit, change.Tokens);
        return new(before is null ? EditOutcome.Created : EditOutcome.Updated);
    }

    private StoredClient Merge(string clientId, ClientTokens? before, ClientChange change)
    {
        var limit = new LimitConfig(change.Capacity!.Value, change.RatePerSecond!.Value);
        var tokens = change.Tokens ?? Math.Min(limit.Capacity, before?.Tokens ?? limit.Capacity);
        return new(clientId, limit, tokens, NowUnixMs);
    }

    private EditResult Edit(string clientId, string? ifMatch, string who, Func<ClientTokens?, EditResult> change)
    {
        lock (_edits)
        {
            ClientTokens? before = limiter.TryGet(clientId, out var found) ? found : null;
            if (ifMatch is not null && !EntityTag.Matches(ifMatch, before?.Limit))
                return new(EditOutcome.PreconditionFailed);

            var result = default(EditResult);
            if (!TryStore(() => result = change(before))) return new(EditOutcome.StoreFailed, Cause: _storeFault!);
            if (result.Outcome is not (EditOutcome.Created or EditOutcome.Updated or EditOutcome.Deleted))
                return result;

            ClientTokens? after = limiter.TryGet(clientId, out found) ? found : null;
            log.LogInformation(ClientChanged, "client {Client} {Change} by {Who}: {Before} -> {After}",
                clientId, result.Outcome.ToString().ToLowerInvariant(), who, Words(before), Words(after));
            return result with { Client = found };
        }
    }

    /// <summary>Runs what uses the store, and logs when the store starts to fail and when it works again.</summary>
    private bool TryStore(Action use)
    {
        try
        {
            use();
        }
        catch (StoreException e)
        {
            if (Interlocked.Exchange(ref _storeFault, e.Message) is null)
            {
                log.LogError(StoreFailing, "client store is failing: {Cause}; limits hold on from memory, edits are "
                    + "refused, tokens are saved when it works again", e.Message);
            }
            return false;
        }
        if (Interlocked.Exchange(ref _storeFault, null) is not null)
            log.LogInformation(StoreRecovered, "client store works again");
        return true;
    }

    private static string Words(ClientTokens? client) => client is { } c
        ? $"capacity {c.Limit.Capacity}, {c.Limit.RatePerSecond}/s, {Math.Floor(c.Tokens * 1000) / 1000} tokens"
        : "none";
}

/// <summary>Names the state of a client's settings, not of its tokens, which move with every request. Made of the
/// settings themselves: nothing to store, the same on every node, equal again when a change is taken back.</summary>
internal static class EntityTag
{
    public static string Of(LimitConfig limit) => $"\"{limit.Capacity}-{limit.RatePerSecond}\"";

    public static bool Matches(string ifMatch, LimitConfig? limit) => limit is not null
        && (ifMatch.Trim() == "*" || ifMatch.Split(',', StringSplitOptions.TrimEntries).Contains(Of(limit)));
}
