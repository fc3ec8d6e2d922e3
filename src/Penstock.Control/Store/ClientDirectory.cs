using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
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

/// <param name="Outcome">The result of the edit.</param>
/// <param name="Client">The client after the edit, if it was created or updated.</param>
/// <param name="Faults">The faults of an invalid edit.</param>
/// <param name="Cause">Why the store failed.</param>
/// <param name="Change">What a successful edit changed, for the log.</param>
internal readonly record struct EditResult(EditOutcome Outcome, ClientState Client = default,
    IReadOnlyList<FieldFault>? Faults = null, string Cause = "", string Change = "");

/// <summary>All edits of registered clients. Edits run one after another, first in the store, then in the limiter: a
/// successful edit is both saved and in force, a failed one is neither. Thread-safe.</summary>
internal sealed partial class ClientDirectory(
    IClientStore store, Limiter limiter, ILogger<ClientDirectory> log)
{
    private readonly Lock _edits = new();
    private volatile string? _storeFault;
    private volatile string? _closedBecause;
    private long _failingSinceMs;
    private readonly DurationHistogram _storeTimes = new(DurationHistogram.UsualBounds);

    /// <summary>The store without a password.</summary>
    public string StoreName => store.Name;

    /// <summary>Why the store fails; null while it works.</summary>
    public string? StoreFault => _storeFault;

    /// <summary>Makes every write fail with this cause, and waits for one that runs; null: writes are possible
    /// again.</summary>
    public void CloseForWrites(string? cause)
    {
        lock (_edits)
        {
            _closedBecause = cause;
        }
    }

    /// <summary>Why the last write failed.</summary>
    public string Cause => _closedBecause ?? _storeFault ?? "it failed";

    /// <summary>How long each use of the store took, failed ones too.</summary>
    public Durations StoreTimes
    {
        get
        {
            lock (_storeTimes)
            {
                return DurationHistogram.Sum([_storeTimes]);
            }
        }
    }

    /// <summary>Registers all clients of the store, with the tokens that refilled since they were saved.</summary>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public void Load()
    {
        LoadPlans();
        store.LoadAll(client => PutInForce(client));
    }

    /// <summary>Puts a client of the store in force, unless its numbers are invalid for a limiter.</summary>
    /// <param name="keepsTokens">The bucket in memory keeps its tokens.</param>
    public void PutInForce(in ClientState client, bool keepsTokens = false)
    {
        if (Limiter.Fault(client.Limit.Capacity, client.Limit.RatePerSecond) is { } fault)
        {
            log.LogError(Events.ClientIgnored, "client {Client} in the store is ignored: {Fault}",
                client.ClientId, fault);
        }
        else
        {
            limiter.Clients.Put(Sound(client), keepsTokens);
        }
    }

    /// <summary>The client as it is now. If nodes share its tokens, they are those in the shared bucket plus those at
    /// this node; while the store fails, only the values in memory.</summary>
    public bool TryGet(string clientId, out ClientState client)
    {
        bool known = limiter.Clients.TryGet(clientId, out client);
        if (!store.SharesTokens || _storeFault is not null
            || !TryUse(() => store.Find(clientId), out ClientState? stored))
        {
            return known;
        }

        client = stored is { } found ? found with { Tokens = SharedTokens(found) } : default;
        return stored is not null;
    }

    private double SharedTokens(ClientState client) => Math.Min(client.Limit.Capacity,
        Math.Max(0, client.Tokens) + limiter.Clients.LeasedTokensOf(client.ClientId));

    /// <returns>False when the store failed.</returns>
    public bool TryPage(string after, string contains, int limit, [NotNullWhen(true)] out List<string>? ids) =>
        TryUse(() => store.Page(after, contains, limit), out ids);

    public EditResult Create(string clientId, ClientChange change) => Edit(clientId, default,
        (edit, before) => before is null && edit.Find(clientId) is null
            ? Write(edit, clientId, null, change, partial: false)
            : new(EditOutcome.Exists));

    /// <summary>Creates or replaces a client. An existing client keeps its tokens unless the change sets them.
    /// </summary>
    public EditResult Put(string clientId, ClientChange change, Preconditions when) =>
        Edit(clientId, when, (edit, before) => Write(edit, clientId, before, change, partial: false));

    public EditResult Patch(string clientId, ClientChange change, Preconditions when) =>
        Edit(clientId, when, (edit, before) => before is { } client
            ? Write(edit, clientId, client, change, partial: true)
            : new(EditOutcome.NotFound));

    public EditResult Reset(string clientId, Preconditions when) =>
        Edit(clientId, when, (edit, before) => before is { } client
            ? new(EditOutcome.Updated, edit.Put(new(clientId, client.Limit, client.Limit.Capacity, client.Terms)))
            : new(EditOutcome.NotFound));

    public EditResult Delete(string clientId, Preconditions when) =>
        Edit(clientId, when, (edit, before) =>
            new(edit.Delete(clientId) || before is not null ? EditOutcome.Deleted : EditOutcome.NotFound));

    /// <summary>Saves the current tokens of these clients. They are read under the lock of the edits, so that a flush
    /// never overwrites an edit with an older value.</summary>
    /// <returns>False when the store failed and nothing was saved.</returns>
    public bool SaveTokens(IEnumerable<string> clientIds)
    {
        lock (_edits)
        {
            return TryStore(() => store.SaveTokens(
                clientIds.Select(id => limiter.Clients.TryGet(id, out ClientState client) ? client : default)
                    .Where(client => client.ClientId is not null)));
        }
    }

    /// <summary>Checks whether a failing store works again.</summary>
    public void Probe()
    {
        if (TryStore(store.Probe))
        {
            NoteRecovery();
        }
    }

    /// <summary>The result of an edit in the store.</summary>
    /// <param name="Stored">The client after the edit, if it was created or updated.</param>
    /// <param name="KeepsTokens">The edit did not set the tokens: the bucket in memory keeps its own.</param>
    private readonly record struct Written(
        EditOutcome Outcome, ClientState Stored = default, bool KeepsTokens = false,
        IReadOnlyList<FieldFault>? Faults = null)
    {
        public ClientState? Before { get; init; }
    }

    /// <summary>Edits a client, first in the store in one transaction, then in the limiter.</summary>
    private EditResult Edit(
        string clientId, Preconditions when, Func<IClientTransaction, ClientState?, Written> change)
    {
        lock (_edits)
        {
            if (!TryWrite(() => store.Edit(edit => Write(edit, clientId, when, change)), out Written written))
            {
                return new(EditOutcome.StoreFailed, Cause: Cause);
            }

            switch (written.Outcome)
            {
                case EditOutcome.Created or EditOutcome.Updated:
                    PutInForce(written.Stored, written.KeepsTokens);
                    break;
                case EditOutcome.Deleted:
                    limiter.Clients.Remove(clientId);
                    break;
                default:
                    return new(written.Outcome, Faults: written.Faults);
            }
            NoteRecovery();
            ClientState? after = limiter.Clients.TryGet(clientId, out ClientState found) ? found : null;
            return new(written.Outcome, found, Change: $"{Describe(written.Before)} -> {Describe(after)}");
        }
    }

    private Written Write(IClientTransaction edit, string clientId, Preconditions when,
        Func<IClientTransaction, ClientState?, Written> change)
    {
        ClientState? before = Before(edit, clientId);
        return when.Hold(before) ? change(edit, before) with { Before = before }
            : new(EditOutcome.PreconditionFailed);
    }

    private Written Write(
        IClientTransaction edit, string clientId, ClientState? before, ClientChange change, bool partial)
    {
        var wanted = Settings.Of(before, change, PlansFor(change, edit), limiter.Configured, partial);
        if (wanted.Faults.Count > 0)
        {
            return new(EditOutcome.Invalid, Faults: wanted.Faults);
        }

        double? tokens = change.Tokens ?? KeptTokens(before, wanted.Limit.Capacity);
        return new(before is null ? EditOutcome.Created : EditOutcome.Updated,
            edit.Put(new(clientId, wanted.Limit, tokens, wanted.Terms)),
            KeepsTokens: before is not null && change.Tokens is null);
    }

    /// <summary>The client before the edit. If nodes share the store it is read from there, because an edit of another
    /// node may not have arrived yet.</summary>
    private ClientState? Before(IClientTransaction edit, string clientId) =>
        store.SharesTokens ? edit.Find(clientId)
            : limiter.Clients.TryGet(clientId, out ClientState found) ? found : null;

    /// <summary>The tokens to write when an edit does not set them: those in memory. Null if nodes share the tokens,
    /// because then the store keeps them itself.</summary>
    private double? KeptTokens(ClientState? before, long capacity) =>
        store.SharesTokens ? null : Math.Min(capacity, before?.Tokens ?? capacity);

    /// <inheritdoc cref="TryUse{T}"/>
    public bool TryStore(Action use) => TryWrite(() =>
    {
        use();
        return true;
    }, out _);

    private bool TryWrite<T>(Func<T> write, [MaybeNullWhen(false)] out T result)
    {
        result = default;
        return _closedBecause is null && TryUse(write, out result);
    }

    /// <summary>Uses the store, and logs when the store starts to fail.</summary>
    /// <returns>False when it failed.</returns>
    private bool TryUse<T>(Func<T> use, [MaybeNullWhen(false)] out T result)
    {
        long began = Stopwatch.GetTimestamp();
        try
        {
            result = use();
            return true;
        }
        catch (StoreException e)
        {
            if (Interlocked.Exchange(ref _storeFault, e.Message) is null)
            {
                Interlocked.Exchange(ref _failingSinceMs, Environment.TickCount64);
                log.LogError(Events.StoreFailing,
                    "client store unavailable: {Cause}. Limits are still enforced from memory; "
                    + "edits are rejected; tokens will be saved when it recovers", e.Message);
            }
            result = default;
            return false;
        }
        finally
        {
            lock (_storeTimes)
            {
                _storeTimes.Add((long)Stopwatch.GetElapsedTime(began).TotalNanoseconds);
            }
        }
    }

    /// <summary>Call after a successful write. Only a write proves recovery: reads still work on a full disk or a
    /// locked file.</summary>
    private void NoteRecovery()
    {
        if (Interlocked.Exchange(ref _storeFault, null) is { } cause)
        {
            log.LogInformation(Events.StoreRecovered, "client store recovered after {Seconds} s: {Cause}",
                (Environment.TickCount64 - Interlocked.Read(ref _failingSinceMs)) / 1000, cause);
        }
    }
}
