using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>The result of adding or removing a backend.</summary>
public enum BackendEdit
{
    /// <summary>It was added or removed.</summary>
    Done,

    /// <summary>There is no upstream with this name.</summary>
    NoUpstream,

    /// <summary>The upstream has no such backend.</summary>
    NoBackend,

    /// <summary>The upstream has this backend already.</summary>
    Exists,

    /// <summary>The configuration has the backend, so only a reload can remove it.</summary>
    Configured,

    /// <summary>The backend belongs to a DNS name that was added; only the name can be removed.</summary>
    OfName,

    /// <summary>Exchanges are in flight at the backend.</summary>
    Busy,

    /// <summary>Penstock is stopping.</summary>
    Stopping,
}

/// <content>Changes of single backends at run time.</content>
public sealed partial class ProxyServer
{
    /// <summary>Sets the state or the weight of a backend. Both hold until the next restart and survive
    /// reloads.</summary>
    /// <param name="weight">1 to 256; 0: the configured weight; null: the weight stays.</param>
    /// <returns>The backend's state afterwards; null when there is no such backend.</returns>
    public BackendStatus? SetBackend(string upstream, string address, BackendState? state, int? weight)
    {
        Upstream? found = Find(upstream);
        Backend? backend = found?.Backends.FirstOrDefault(
            b => string.Equals(b.Address, address, StringComparison.OrdinalIgnoreCase));
        if (found is null || backend is null)
        {
            return null;
        }
        if (weight is { } chosen)
        {
            found.Choose(backend, chosen);
        }
        if (state is { } wanted)
        {
            backend.SetState(wanted, _clock.NowNs);
            _logger.LogInformation(Events.BackendState,
                "operator set backend {Backend} to {State}; requests in flight: {InFlight}", backend,
                wanted.ToString().ToLowerInvariant(), backend.InFlight);
        }
        return BackendStatus.Of(found, backend, _clock);
    }

    /// <summary>The state of a backend now; null when there is no such backend.</summary>
    /// <param name="address">The address, or a DNS name and port, which means its first address.</param>
    public BackendStatus? FindBackend(string upstream, string address) =>
        Find(upstream) is { } found && found.Find(address) is { } live ? BackendStatus.Of(found, live, _clock) : null;

    /// <summary>The backends that were added at run time, with the names of their upstreams.</summary>
    public IReadOnlyList<(string Upstream, BackendConfig Backend)> AddedBackends() =>
        [.. _topology.Upstreams.SelectMany(static u => u.Added.Select(added => (u.Name, added)))];

    /// <summary>Adds a backend to an upstream, also before <see cref="Start"/>. It stays until it is removed, until
    /// its upstream is removed from the configuration, or until the next restart. If a later configuration has its
    /// address, it is a configured backend from then on.</summary>
    /// <param name="backend">Valid, see the loader.</param>
    /// <returns>Also the backend's state, if it was added or exists: of a DNS name, that of its first
    /// address.</returns>
    public (BackendEdit Result, BackendStatus? Backend) AddBackend(string upstream, BackendConfig backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        lock (_applying)
        {
            if (_stopping)
            {
                return (BackendEdit.Stopping, null);
            }
            if (Find(upstream) is not { } found)
            {
                return (BackendEdit.NoUpstream, null);
            }
            if (!found.TryAdd(backend, joins: _workers.Count > 0))
            {
                return (BackendEdit.Exists, null);
            }
            _topology.Resolve();
            if (FindBackend(upstream, backend.Address) is { } added)
            {
                return (BackendEdit.Done, added);
            }
            // A name whose addresses the upstream already has under another name.
            found.TryRemove(backend.Address);
            _topology.Resolve();
            return (BackendEdit.Exists, null);
        }
    }

    /// <summary>Removes a backend that was added at run time. It gets no new requests; exchanges in flight end
    /// normally.</summary>
    /// <param name="address">The address, or the DNS name and port.</param>
    /// <param name="onlyIfIdle">Remove it only if no exchange is in flight at it.</param>
    public BackendEdit RemoveBackend(string upstream, string address, bool onlyIfIdle)
    {
        lock (_applying)
        {
            if (_stopping)
            {
                return BackendEdit.Stopping;
            }
            if (Find(upstream) is not { } found)
            {
                return BackendEdit.NoUpstream;
            }
            if (!found.HasAdded(address))
            {
                return found.Find(address) is not { } live ? BackendEdit.NoBackend
                    : found.IsAdded(live) ? BackendEdit.OfName : BackendEdit.Configured;
            }
            if (onlyIfIdle && found.InFlightAt(address) > 0)
            {
                return BackendEdit.Busy;
            }
            found.TryRemove(address);
            _topology.Resolve();
            return BackendEdit.Done;
        }
    }

    private Upstream? Find(string upstream) => _topology.Upstreams.FirstOrDefault(
        u => string.Equals(u.Name, upstream, StringComparison.Ordinal));
}
