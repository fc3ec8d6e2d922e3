using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>This process as one of the nodes that share a store: it leases tokens and receives edits of other nodes.
/// </summary>
internal sealed class ClusterMember : IAsyncDisposable
{
    private readonly LeaseLink _link;
    private readonly EditFeed _feed;

    private ClusterMember(LeaseLink link, EditFeed feed, Leases leases) =>
        (_link, _feed, Leases) = (link, feed, leases);

    public Leases Leases { get; }

    public ClusterState State => _link.State;

    /// <summary>Edits up to this version are in force at this node.</summary>
    public long ClientsVersion => _feed.Version;

    /// <summary>Joins the other nodes and reads all clients; null when the store is not shared.</summary>
    /// <param name="readBackends">Puts the backends of the store in force.</param>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public static ClusterMember? Join(
        string setting, IClientStore store, ClientDirectory directory, Action readBackends, Limiter limiter,
        TimeProvider time, ILoggerFactory loggers)
    {
        if (limiter.Leases is not { } leases || !PostgresUrl.TryParse(setting, out PostgresUrl? url))
        {
            return null;
        }

        var link = LeaseLink.Join(url, leases, ProductVersion.Short, time, loggers.CreateLogger<LeaseLink>());
        var feed = new EditFeed(url, store, directory, readBackends, limiter, loggers.CreateLogger<EditFeed>());
        link.SawVersion = feed.Saw;
        try
        {
            feed.Load();
        }
        catch
        {
            link.DisposeAsync().AsTask().Wait(); // no thread runs yet, so this completes at once
            throw;
        }
        link.Start();
        feed.Start();
        return new(link, feed, leases);
    }

    /// <summary>Gives back unused tokens and leaves the cluster.</summary>
    public async ValueTask DisposeAsync()
    {
        await _feed.DisposeAsync();
        await _link.DisposeAsync();
    }
}
