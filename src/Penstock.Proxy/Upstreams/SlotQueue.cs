namespace Penstock.Proxy.Upstreams;

/// <summary>A request that waits for a place at a backend. Thread-safe only as its members say.</summary>
internal abstract class SlotWaiter
{
    /// <summary>Who waits: places go round between clients, not between requests.</summary>
    public ulong Client { get; set; }

    /// <summary>Hash of what the upstream spreads by, when it does.</summary>
    public ulong AffinityHash { get; set; }

    internal LinkedListNode<SlotWaiter>? Node;

    /// <summary>A place, counted in already, or null when it has to give way. Called from any thread, once.</summary>
    public abstract void Grant(Backend? backend);
}

/// <summary>Requests that wait because every backend that could take them is at its <c>max_connections</c>. A free
/// place goes to the clients in turn, to each one's oldest request, so a client with a hundred waiting requests delays
/// another one's by one place, not by a hundred. When the queue is full, who has most in it gives way: nobody can fill
/// it alone.
/// (Nagle, "On Packet Switches with Infinite Storage", RFC 970, 1985: fair queueing.) Thread-safe.</summary>
/// <param name="take">Counts a request in at a backend that has a place; null when none has. Called under the queue's
/// lock.</param>
internal sealed class SlotQueue(Func<SlotWaiter, Backend?> take)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, LinkedList<SlotWaiter>> _clients = [];
    private readonly LinkedList<ulong> _turns = new();
    private volatile int _count;

    /// <summary>Requests that wait now.</summary>
    public int Count => _count;

    /// <summary>Stands in line; <see cref="SlotWaiter.Grant"/> follows, maybe before this returns.</summary>
    /// <param name="length">Most that may wait.</param>
    /// <returns>False when the queue is full for it.</returns>
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
        Serve(); // a place that became free before we stood in line woke nobody
        return true;
    }

    /// <summary>Would <see cref="TryEnter"/> take a request of that client now?</summary>
    public bool HasRoomFor(ulong client, int length)
    {
        lock (_lock)
        {
            return _count < length || Longest(client) is not null;
        }
    }

    /// <summary>No longer waits: it timed out, or its client went away.</summary>
    /// <returns>False when it has been, or is being, granted.</returns>
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

    /// <summary>Gives places out as long as there are some and somebody waits.</summary>
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

    /// <summary>The newest of the client with most, if that is more than another one would have.</summary>
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
