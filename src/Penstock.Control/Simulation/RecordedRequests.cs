namespace Penstock.Control.Simulation;

/// <summary>The requests of a log, in the order in which they are decided: 16 bytes for each. Not thread-safe.
/// </summary>
/// <param name="max">How many requests are kept.</param>
internal sealed class RecordedRequests(int max)
{
    private const int PieceLength = 16 * 1024;

    /// <summary>Pieces, because an array that grows needs twice its memory while it is copied.</summary>
    private readonly List<Request[]> _pieces = [];
    private long _second = long.MinValue;
    private int _seconds;
    private int _clients;

    /// <summary>How many requests there are.</summary>
    public int Count { get; private set; }

    /// <summary>There were more requests than are kept.</summary>
    public bool IsOver { get; private set; }

    /// <param name="client">The client's number.</param>
    /// <param name="ns">Nanoseconds since the beginning of the replay.</param>
    /// <param name="second">Seconds since 1970, not before the one of the last call.</param>
    public void Add(int client, long ns, long second)
    {
        if (Count == max)
        {
            IsOver = true;
            return;
        }
        if (second != _second || _seconds == 0)
        {
            (_second, _seconds) = (second, _seconds + 1);
        }
        if (Count % PieceLength == 0)
        {
            _pieces.Add(new Request[PieceLength]);
        }

        _pieces[^1][Count % PieceLength] = new(ns, client, _seconds - 1);
        _clients = Math.Max(_clients, client + 1);
        Count++;
    }

    /// <summary>Sorts the requests by client, and those of a client by time. Afterwards this object is empty.</summary>
    public RequestsByClient ByClient()
    {
        int[] starts = new int[_clients + 1];
        ForEach(request => starts[request.Client + 1]++);
        for (int client = 0; client < _clients; client++)
        {
            starts[client + 1] += starts[client];
        }

        int[] next = starts[..^1];
        (long[] ns, int[] seconds) = (new long[Count], new int[Count]);
        ForEach(request =>
        {
            int at = next[request.Client]++;
            (ns[at], seconds[at]) = (request.Ns, request.Second);
        });
        _pieces.Clear();
        Count = 0;
        return new(starts, ns, seconds, _seconds);
    }

    private void ForEach(Action<Request> use)
    {
        for (int i = 0; i < Count; i++)
        {
            use(_pieces[i / PieceLength][i % PieceLength]);
        }
    }

    /// <param name="Second">The number of its second among the seconds that have requests, so that the seconds of a
    /// log of any length can be counted in an array.</param>
    private readonly record struct Request(long Ns, int Client, int Second);
}

/// <summary>The requests of a log, sorted by client: 12 bytes for each. Immutable.</summary>
/// <param name="Starts">Where the requests of each client begin; at the end the number of all.</param>
/// <param name="Ns">Nanoseconds since the beginning of the replay.</param>
/// <param name="Seconds">The numbers of the seconds, counted from 0 without gaps.</param>
/// <param name="SecondCount">How many seconds have requests.</param>
internal sealed record RequestsByClient(int[] Starts, long[] Ns, int[] Seconds, int SecondCount)
{
    public int Count => Ns.Length;

    /// <summary>How many requests the client with most of them has.</summary>
    public int MaxOfOneClient =>
        Starts.Skip(1).Zip(Starts, static (end, start) => end - start).Max();
}
