using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Bench.Cluster;

/// <summary>A node without its data plane: requests are taken from its limiter by <see cref="TryTake"/>, as an event
/// loop does; leases, heartbeats and edits are the program's own.</summary>
internal sealed class BenchNode : IAsyncDisposable
{
    private readonly PostgresStore _store;
    private readonly ClusterMember _member;
    private readonly MonotonicClock _clock;
    private readonly LeasedBucket[] _clients;

    private BenchNode(PostgresStore store, ClusterMember member, Limiter limiter, MonotonicClock clock, int clients)
    {
        (_store, _member, Limiter, _clock) = (store, member, limiter, clock);
        _clients = [.. Enumerable.Range(0, clients).Select(i =>
            (LeasedBucket)limiter.Clients.Find(Database.IdOf(i))!.Bucket)];
    }

    public Limiter Limiter { get; }

    public ClusterState State => _member.State;

    public static BenchNode Join(string url, int clients)
    {
        var clock = new MonotonicClock(TimeProvider.System);
        var limiter = new Limiter(new() { Listeners = [], Upstreams = [], Routes = [] }, clock, sharesTokens: true);
        var store = PostgresStore.Open(Database.Parsed(url));
        var directory = new ClientDirectory(store, limiter, NullLogger<ClientDirectory>.Instance);
        ClusterMember member = ClusterMember.Join(
            url, store, directory, static () => { }, limiter, TimeProvider.System, NullLoggerFactory.Instance)!;
        return new(store, member, limiter, clock, clients);
    }

    public bool TryTake(int client) => _clients[client].TryTake(_clock.NowNs, 1, out _, out _);

    public async ValueTask DisposeAsync()
    {
        await _member.DisposeAsync();
        _store.Dispose();
    }
}
