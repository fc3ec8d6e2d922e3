using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <content>The change from one process to another without a lost connection: the new process gets the sockets on which
/// the old one listens, with the connections that wait in them.</content>
public sealed partial class ProxyServer
{
    private readonly List<(string Address, IReadOnlyList<Socket> Sockets)> _inherited = [];

    /// <summary>Listeners' addresses as configured, with their sockets.</summary>
    public IReadOnlyList<(string Address, IReadOnlyList<Socket> Sockets)> ListeningSockets()
    {
        lock (_applying)
        {
            return [.. _listeners.Select(static l =>
                (l.Config.Address.ToString()!, (IReadOnlyList<Socket>)l.Sockets))];
        }
    }

    /// <summary>Uses these sockets for the listeners with these addresses. Call it before <see cref="Start"/>. Sockets
    /// that no listener uses stay the caller's.</summary>
    public void Inherit(string address, IReadOnlyList<Socket> sockets) => _inherited.Add((address, sockets));

    /// <summary>Another process has taken over.</summary>
    public bool HasHandedOver => Limiter.Successor is not null;

    /// <summary>Completes when the last client connection has ended after a hand-over.</summary>
    public Task Drained => Task.WhenAll(_workers.Select(static w => w.Drained));

    /// <summary>The keys for tickets of TLS sessions.</summary>
    public IReadOnlyList<byte[]> CopyTicketKeys() => _ticketKeys.All;

    /// <summary>Stops all loops for a moment and leaves the listeners to another process. The connections stay here;
    /// each ends after its present or next exchange, whose tokens come from the successor.</summary>
    /// <param name="agree">Called while no loop runs, so that no token is taken. Returns the successor; null: nothing
    /// changes.</param>
    /// <returns>Whether the other process has taken over. False also when the loops do not stop within 5 seconds, or
    /// when a graceful stop has begun.</returns>
    public bool TryHandOver(Func<Successor?> agree)
    {
        ArgumentNullException.ThrowIfNull(agree);
        lock (_applying)
        {
            if (_stopping)
            {
                return false;
            }
            var stopped = new CountdownEvent(_workers.Count);
            var decided = new TaskCompletionSource<bool>();
            foreach (Worker worker in _workers)
            {
                worker.Loop.Post(() =>
                {
                    stopped.Signal();
                    if (decided.Task.GetAwaiter().GetResult())
                    {
                        worker.HandOver();
                    }
                });
            }
            bool agreed = false;
            try
            {
                if (stopped.Wait(LoopTimeout) && agree() is { } successor)
                {
                    Limiter.Successor = successor;
                    agreed = _stopping = true;
                }
            }
            finally
            {
                decided.SetResult(agreed);
            }
            return agreed;
        }
    }

    /// <summary>Gives a backend the health that another process has found, until the first check here. Does nothing
    /// when there is no such backend or it is not checked. Call it before <see cref="Start"/>.</summary>
    /// <param name="cause">Why it is down; else null.</param>
    public void AssumeHealth(string upstream, string address, BackendHealth health, string? cause)
    {
        if (Find(upstream) is { Config.HealthCheck: not null } found && found.Find(address) is { } backend)
        {
            backend.Health = new HealthState(health, cause, _clock.Time.GetUtcNow());
        }
    }

    private IReadOnlyList<Socket>? TakeInherited(EndPoint address)
    {
        int found = _inherited.FindIndex(one => one.Address == address.ToString());
        if (found < 0)
        {
            return null;
        }
        IReadOnlyList<Socket> sockets = _inherited[found].Sockets;
        _inherited.RemoveAt(found);
        return sockets;
    }
}
