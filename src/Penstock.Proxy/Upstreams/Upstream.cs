using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>A named group of equal servers with its balancer. Thread-safe.</summary>
internal sealed class Upstream
{
    private readonly Balancer _primaries;
    private readonly Balancer? _backups;

    public Upstream(UpstreamConfig config, IReadOnlyList<Backend> backends)
    {
        Config = config;
        Backends = backends;
        NameOctets = Encoding.UTF8.GetBytes(config.Name);
        _primaries = Balancer.Create(config.Balance, [.. backends.Where(static b => !b.Config.Backup)]);
        Backend[] backups = [.. backends.Where(static b => b.Config.Backup)];
        _backups = backups.Length == 0 ? null : Balancer.Create(config.Balance, backups);
    }

    public UpstreamConfig Config { get; }
    public string Name => Config.Name;
    public byte[] NameOctets { get; }
    public IReadOnlyList<Backend> Backends { get; }

    /// <summary>The backend for the next request; a backup only when no other can take it. The caller owes a
    /// <see cref="Backend.Leave"/>.</summary>
    /// <param name="tried">Not these again.</param>
    /// <returns>Null when no backend can take the request.</returns>
    public Backend? Pick(List<Backend> tried, Random random)
    {
        while ((_primaries.Pick(tried, random) ?? _backups?.Pick(tried, random)) is { } backend)
        {
            if (backend.TryEnter())
            {
                return backend;
            }

            // Another loop took its last place in between; it is full, so the next round will not see it.
        }
        return null;
    }
}
