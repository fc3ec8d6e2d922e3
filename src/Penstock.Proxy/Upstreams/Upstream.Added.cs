using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <content>Backends that were added at run time, besides those of the configuration. A reload keeps them.</content>
internal sealed partial class Upstream
{
    private volatile IReadOnlyList<BackendConfig> _added = [];

    /// <summary>Replaces the configuration. Backends that stay keep their state. Backends that were added at run time
    /// stay, unless the configuration has them now.</summary>
    public void Apply(UpstreamConfig config) => ReplaceConfig(_ =>
    {
        _added = [.. _added.Where(added => !config.Backends.Any(b => IsSame(b.Address, added.Address)))];
        return config with { Backends = [.. config.Backends, .. _added] };
    }, joins: true);

    /// <summary>The live backend with this address, else the first with this DNS name and port.</summary>
    public Backend? Find(string address) => _members.All.FirstOrDefault(b => IsSame(b.Address, address))
        ?? _members.All.FirstOrDefault(b => b.Name is { } name && IsSame(name, address));

    /// <summary>Whether a backend with this address, or DNS name and port, was added at run time.</summary>
    public bool HasAdded(string address) => FindAdded(address) is not null;

    /// <summary>Whether a live backend was added at run time, or belongs to a DNS name that was.</summary>
    public bool IsAdded(Backend backend) => HasAdded(backend.Name ?? backend.Address);

    /// <summary>Exchanges in flight at a configured or added backend: of a DNS name, at all its addresses.</summary>
    public int InFlightAt(string address) =>
        _members.All.Where(b => IsSame(b.Name ?? b.Address, address)).Sum(static b => b.InFlight);

    /// <summary>The backends that were added at run time, as they were added.</summary>
    public IReadOnlyList<BackendConfig> Added => _added;

    /// <summary>Adds a backend at run time. One caller at a time adds or removes.</summary>
    /// <param name="joins">It joins others that are in use, so it starts slowly.</param>
    /// <returns>False if the upstream has this address already.</returns>
    public bool TryAdd(BackendConfig backend, bool joins)
    {
        if (Config.Backends.Any(b => IsSame(b.Address, backend.Address)) || Find(backend.Address) is not null)
        {
            return false;
        }
        ReplaceConfig(config =>
        {
            _added = [.. _added, backend];
            return config with { Backends = [.. config.Backends, backend] };
        }, joins);
        return true;
    }

    /// <summary>Removes a backend that was added at run time. Its exchanges in flight end normally.</summary>
    /// <returns>False if no backend with this address or name was added.</returns>
    public bool TryRemove(string address)
    {
        if (FindAdded(address) is not { } removed)
        {
            return false;
        }
        ReplaceConfig(config =>
        {
            _added = [.. _added.Where(added => added != removed)];
            return config with { Backends = [.. config.Backends.Where(b => !IsSame(b.Address, removed.Address))] };
        }, joins: true);
        return true;
    }

    private BackendConfig? FindAdded(string address) => _added.FirstOrDefault(b => IsSame(b.Address, address));

    private static bool IsSame(string address, string other) =>
        string.Equals(address, other, StringComparison.OrdinalIgnoreCase);
}
