namespace Penstock.Proxy.Upstreams;

/// <summary>A request that waits for a slot at a backend. Thread-safe only where its members say so.</summary>
internal abstract class SlotWaiter
{
    /// <summary>Hash of the client. Slots are given to clients in turn, not to requests.</summary>
    public ulong Client { get; set; }

    /// <summary>Hash of the request's affinity key, if the upstream balances by hash.</summary>
    public ulong AffinityHash { get; set; }

    internal LinkedListNode<SlotWaiter>? Node;

    /// <summary>Ends the wait. Called once, from any thread. <paramref name="backend"/> has counted the request in
    /// already; null: the request has lost its place in the full queue.</summary>
    public abstract void Grant(Backend? backend);
}

/// <summary>Requests that wait because every usable backend is at its <c>max_connections</c>. Clients get free slots in
/// turn, and each one's oldest request goes first; so a client with a hundred waiting requests delays another client by
/// one slot, not by a hundred. When the queue is full, the newest request of the client with the most waiting requests
/// is removed, so no client can fill the queue alone. (Nagle, "On Packet Switches with Infinite Storage", RFC 970,
/// 1985: fair queueing.) Thread-safe.</summary>
/// <param name="take">Picks a backend with a free slot and counts the request in there; null when there is none. Called
/// under the queue's lock.</param>
internal sealed class SlotQueue(Func<SlotWaiter, Backend?> take)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, LinkedList<SlotWaiter>> _clients = [];
    private readonly LinkedList<ulong> _turns = new();
    private volatile int _count;

    /// <summary>The number of requests that wait now.</summary>
    public int Count => _count;

    /// <summary>Adds a request to the queue. <see cref="SlotWaiter.Grant"/> follows, maybe before this method
    /// returns.</summary>
    /// <param name="length">How many requests may wait at the same time.</param>
    /// <returns>False when the queue is full for this client.</returns>
    public bool TryEnter(SlotWaiter waiter, int length)
    {
        SlotWaiter? gives = null;
        lock (_lock)
        {
            if (_count >= length)
            {
                gives = Longest(waiter.Client);
                if (gives is null)
                {
                    return false;
                }
                Remove(gives);
            }
            if (!_clients.TryGetValue(waiter.Client, out LinkedList<SlotWaiter>? line))
            {
                _clients[waiter.Client] = line = new();
                _turns.AddLast(waiter.Client);
            }
            waiter.Node = line.AddLast(waiter);
            _count++;
        }
        gives?.Grant(null);
        Serve(); // a slot may have become free before the request was in the queue
        return true;
    }

    /// <summary>Whether <see cref="TryEnter"/> would accept a request of this client now.</summary>
    public bool HasRoomFor(ulong client, int length)
    {
        lock (_lock)
        {
            return _count < length || Longest(client) is not null;
        }
    }

    /// <summary>Removes a request whose wait timed out or whose client is gone.</summary>
    /// <returns>False when <see cref="SlotWaiter.Grant"/> has been or is being called.</returns>
    public bool Leave(SlotWaiter waiter)
    {
        lock (_lock)
        {
            if (waiter.Node is null)
            {
                return false;
            }
            Remove(waiter);
            return true;
        }
    }

    /// <summary>Gives free slots to waiting requests until one of the two runs out.</summary>
    public void Serve()
    {
        while (_count > 0)
        {
            SlotWaiter next;
            Backend? backend;
            lock (_lock)
            {
                if (_count == 0)
                {
                    return;
                }
                ulong client = _turns.First!.Value;
                next = _clients[client].First!.Value;
                backend = take(next);
                if (backend is null)
                {
                    return;
                }
                Remove(next);
                if (_clients.ContainsKey(client))
                {
                    _turns.RemoveFirst();
                    _turns.AddLast(client);
                }
            }
            next.Grant(backend);
        }
    }

    /// <summary>The newest request of the client with the most waiting requests; null when that is no more than the
    /// newcomer's client would have.</summary>
    private SlotWaiter? Longest(ulong newcomer)
    {
        LinkedList<SlotWaiter> longest = _clients.Values.MaxBy(static line => line.Count)!;
        int own = _clients.TryGetValue(newcomer, out LinkedList<SlotWaiter>? line) ? line.Count : 0;
        return longest.Count > own + 1 ? longest.Last!.Value : null;
    }

    private void Remove(SlotWaiter waiter)
    {
        LinkedList<SlotWaiter> line = _clients[waiter.Client];
        line.Remove(waiter.Node!);
        waiter.Node = null;
        _count--;
        if (line.Count == 0)
        {
            _clients.Remove(waiter.Client);
            _turns.Remove(waiter.Client);
        }
    }
}
