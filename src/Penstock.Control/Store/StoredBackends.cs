using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Store;

/// <summary>Backends that the admin API adds and removes. Those that it adds with <c>stored</c> are in the store, from
/// which every node that shares it takes them, now and at each start. Thread-safe.</summary>
internal sealed class StoredBackends(
    IClientStore store, ClientDirectory directory, ProxyServer proxy, ILogger<StoredBackends> log)
{
    /// <summary>Held from the change of the live upstream to that of the store, so that <see cref="PutInForce"/> never
    /// sees one without the other.</summary>
    private readonly Lock _edits = new();

    /// <summary>The store keeps backends beyond this process.</summary>
    public bool CanStore => store.IsLasting;

    /// <summary>Makes the live stored backends those of the store.</summary>
    /// <exception cref="StoreException">The store cannot be read; nothing was changed.</exception>
    public void PutInForce()
    {
        lock (_edits)
        {
            List<StoredBackend> rows = [];
            UseStore(() => rows = store.Backends());
            List<(string Upstream, BackendConfig Backend)> wanted = [.. rows.SelectMany(Read)];
            List<(string Upstream, BackendConfig Backend)> live =
                [.. proxy.AddedBackends().Where(static added => added.Backend.Stored)];
            foreach ((string upstream, BackendConfig backend) in live.Except(wanted))
            {
                proxy.RemoveBackend(upstream, backend.Address, onlyIfIdle: false);
                log.LogInformation(Events.StoredBackend, "backend {Upstream}/{Backend} removed: the store no longer "
                    + "has it with these settings", upstream, backend.Address);
            }
            foreach ((string upstream, BackendConfig backend) in wanted.Except(live))
            {
                Add(upstream, backend);
            }
        }
    }

    /// <summary>Adds a backend, also to the store if <see cref="BackendConfig.Stored"/> is set.</summary>
    /// <param name="settings">The JSON that <paramref name="backend"/> was read from.</param>
    /// <exception cref="StoreException">The store failed; nothing was changed.</exception>
    public (BackendEdit Result, BackendStatus? Backend) Add(string upstream, BackendConfig backend, string settings)
    {
        lock (_edits)
        {
            (BackendEdit Result, BackendStatus? Backend) added = proxy.AddBackend(upstream, backend);
            if (added.Result == BackendEdit.Done && backend.Stored)
            {
                UseStore(() => store.PutBackend(new(upstream, backend.Address, settings)),
                    undo: () => proxy.RemoveBackend(upstream, backend.Address, onlyIfIdle: false));
            }
            return added;
        }
    }

    /// <summary>Removes a backend that was added, also from the store.</summary>
    /// <param name="onlyIfIdle">See <see cref="ProxyServer.RemoveBackend"/>.</param>
    /// <exception cref="StoreException">The store failed; nothing was changed.</exception>
    public BackendEdit Remove(string upstream, string address, bool onlyIfIdle)
    {
        lock (_edits)
        {
            BackendConfig? added = proxy.AddedBackends().FirstOrDefault(added => added.Upstream == upstream
                && string.Equals(added.Backend.Address, address, StringComparison.OrdinalIgnoreCase)).Backend;
            BackendEdit result = proxy.RemoveBackend(upstream, address, onlyIfIdle);
            if (result == BackendEdit.Done && added is { Stored: true })
            {
                UseStore(() => store.DeleteBackend(upstream, added.Address),
                    undo: () => proxy.AddBackend(upstream, added));
            }
            else if (result is BackendEdit.NoUpstream or BackendEdit.NoBackend)
            {
                // The configuration may have lost the upstream of a stored backend.
                UseStore(() => result = store.DeleteBackend(upstream, address) ? BackendEdit.Done : result);
            }
            return result;
        }
    }

    private void Add(string upstream, BackendConfig backend)
    {
        switch (proxy.AddBackend(upstream, backend).Result)
        {
            case BackendEdit.Done:
                log.LogInformation(Events.StoredBackend, "backend {Upstream}/{Backend} added: the store has it, weight "
                    + "{Weight}", upstream, backend.Address, backend.Weight);
                break;
            case BackendEdit.NoUpstream:
                log.LogWarning(Events.StoredBackend, "backend {Upstream}/{Backend} of the store is not used: the "
                    + "configuration has no upstream {Upstream}", upstream, backend.Address, upstream);
                break;
            case BackendEdit.Exists:
                log.LogWarning(Events.StoredBackend, "backend {Upstream}/{Backend} of the store is not used: the "
                    + "upstream has the address already", upstream, backend.Address);
                break;
        }
    }

    private IEnumerable<(string Upstream, BackendConfig Backend)> Read(StoredBackend row)
    {
        (BackendConfig? backend, IReadOnlyList<Diagnostic> diagnostics) = ConfigLoader.ParseBackend(row.Settings);
        if (backend is { Stored: true } && backend.Address == row.Address)
        {
            return [(row.Upstream, backend)];
        }
        log.LogError(Events.StoredBackend, "backend {Upstream}/{Backend} of the store is not used: {Fault}",
            row.Upstream, row.Address, diagnostics.Count > 0 ? diagnostics[0].Message
                : "its settings are of another backend, or not stored");
        return [];
    }

    private void UseStore(Action use, Action? undo = null)
    {
        if (!directory.TryStore(use))
        {
            undo?.Invoke();
            throw new StoreException(directory.Cause);
        }
    }
}
