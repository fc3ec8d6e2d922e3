using System.Globalization;
using System.Text;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>How a handshake of TLS ended.</summary>
internal enum HandshakeEnd
{
    Full,
    Resumed,

    /// <summary>Client and listener could not agree, or the client's certificate was not accepted.</summary>
    Failed,
    TimedOut,

    /// <summary>The client closed the connection.</summary>
    Left,
}

internal static class HandshakeEnds
{
    /// <summary>The word in metrics.</summary>
    public static string Word(HandshakeEnd end) => end switch
    {
        HandshakeEnd.Full => "full",
        HandshakeEnd.Resumed => "resumed",
        HandshakeEnd.Failed => "failed",
        HandshakeEnd.TimedOut => "timed_out",
        _ => "left",
    };
}

/// <summary>What one loop counts for one listener since start. Only the loop writes; other threads may read, and see
/// each number whole but possibly a moment old.</summary>
internal sealed class ListenerCounters(string listener)
{
    private readonly CountTable _requests = new();
    private readonly CountTable _routes = new();
    private readonly long[] _handshakes = new long[Enum.GetValues<HandshakeEnd>().Length];
    private long _accepted;
    private long _open;
    private long _turnedAway;
    private long _tunnels;
    private long _bytesIn;
    private long _bytesOut;

    /// <summary>The address as configured.</summary>
    public string Listener { get; } = listener;

    /// <summary>From a request's first byte to its response's last.</summary>
    public DurationHistogram Durations { get; } = new(DurationHistogram.UsualBounds);

    /// <summary>The same times, finer, for percentiles, without rejected requests: there may be many, and they take no
    /// time.</summary>
    public LatencyCounts Latencies { get; } = new();

    /// <summary>From the end of a request's head to its first sending to a backend, without the wait for a slot.
    /// </summary>
    public DurationHistogram Overheads { get; } = new(DurationHistogram.ShortBounds);

    /// <summary>Client connections that were accepted.</summary>
    public long Accepted => Volatile.Read(ref _accepted);

    /// <summary>Client connections that are open.</summary>
    public long Open => Volatile.Read(ref _open);

    /// <summary>Client connections that were closed at once: their address had too many, or it may not use the PROXY
    /// protocol.</summary>
    public long TurnedAway => Volatile.Read(ref _turnedAway);

    /// <summary>Upgraded connections that are open. Only the loop may set it.</summary>
    public long Tunnels
    {
        get => Volatile.Read(ref _tunnels);
        set => Volatile.Write(ref _tunnels, value);
    }

    /// <summary>Bytes of request bodies.</summary>
    public long BytesIn => Volatile.Read(ref _bytesIn);

    /// <summary>Bytes of response bodies.</summary>
    public long BytesOut => Volatile.Read(ref _bytesOut);

    public void CountOpened()
    {
        Volatile.Write(ref _accepted, _accepted + 1);
        Volatile.Write(ref _open, _open + 1);
    }

    public void CountClosed() => Volatile.Write(ref _open, _open - 1);

    /// <summary>How handshakes of TLS have ended, by <see cref="HandshakeEnd"/>.</summary>
    public IEnumerable<(HandshakeEnd End, long Count)> Handshakes =>
        Enum.GetValues<HandshakeEnd>().Select(end => (end, Volatile.Read(ref _handshakes[(int)end])));

    public void CountHandshake(HandshakeEnd end) =>
        Volatile.Write(ref _handshakes[(int)end], _handshakes[(int)end] + 1);

    public void CountTurnedAway() => Volatile.Write(ref _turnedAway, _turnedAway + 1);

    /// <summary>Counts an exchange that has ended.</summary>
    public void Count(Exchange exchange)
    {
        RequestEnd end = exchange.Outcome.End(exchange.Status);
        long duration = exchange.Loop.NowNs - exchange.StartNs;
        _requests.Add(Key(exchange.Request.Method, exchange.Status, exchange.Outcome));
        _routes.Add(1u << 31 | (uint)(exchange.Route?.Number ?? 0) << 2 | (uint)end);
        Durations.Add(duration);
        if (end != RequestEnd.Rejected)
        {
            Latencies.Add(duration);
        }
        Volatile.Write(ref _bytesIn, _bytesIn + exchange.BytesIn);
        Volatile.Write(ref _bytesOut, _bytesOut + exchange.BytesOut);
    }

    /// <summary>The counts of requests.</summary>
    public IEnumerable<RequestCount> Requests => _requests.Read().Select(one => new RequestCount(
        Listener, Word((Method)(one.Key >> 20 & 0xf)), (int)(one.Key >> 8 & 0xfff),
        Encoding.ASCII.GetString(((Outcome)(one.Key & 0xff)).Word()), one.Count));

    /// <summary>The counts of requests by the number of their route (0: none) and their end.</summary>
    public IEnumerable<(int Route, RequestEnd End, long Count)> Routes => _routes.Read().Select(static one =>
        ((int)(one.Key & ~(1u << 31)) >> 2, (RequestEnd)(one.Key & 3), one.Count));

    private static uint Key(Method method, int status, Outcome outcome) =>
        1u << 31 | (uint)method << 20 | (uint)status << 8 | (uint)outcome;

    /// <summary>Unknown methods are one word, because clients choose them.</summary>
    private static string Word(Method method) =>
        method == Method.Other ? "other" : method.ToString().ToUpper(CultureInfo.InvariantCulture);
}
