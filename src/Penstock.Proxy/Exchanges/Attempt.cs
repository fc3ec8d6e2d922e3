using System.Diagnostics;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>One try at one backend: from the moment the backend counts the request in to the moment it is counted out.
/// Reused with its exchange. Not thread-safe.</summary>
internal sealed class Attempt(HeadBounds bounds)
{
    private bool _isCountedIn;

    /// <summary>The backend of this try, also when it is over; null before the first.</summary>
    public Backend? Backend;

    /// <summary>Null before the connection is begun, and after it was given back or closed.</summary>
    public BackendConnection? Connection;

    /// <summary>The backend has the whole request.</summary>
    public bool IsSent;

    /// <summary>Interim responses that it has sent.</summary>
    public int Interims;

    /// <summary>What has come of the response and was not passed on.</summary>
    public ByteWindow Received;
    public BodyReader Body;

    /// <summary>The response's body goes to the client in chunks.</summary>
    public bool ChunksBody;

    /// <summary>When the request's first byte was sent.</summary>
    public long SentNs;

    // Since when the backend has had the whole request, and what Loop.StalledNs was then; 0: it has not, or its answer
    // is counted.
    private long _askedNs;
    private long _askedStalledNs;

    public ResponseHead Response { get; } = new(bounds);

    /// <summary>Bytes of its response have come, if only of an interim one.</summary>
    public bool HasBegunToRespond => Received.Length > 0 || Interims > 0;

    /// <summary>The connection of a try that has one.</summary>
    public Connection Io => Connection!.Io;

    /// <param name="backend">It has counted the request in already.</param>
    public void Begin(Backend backend)
    {
        if (Backend is not null)
        {
            Reset(); // after another try of the same request
        }
        Debug.Assert(!_isCountedIn && Connection is null && !Received.HasBuffer, "the last try was not ended");
        Backend = backend;
        _isCountedIn = true;
    }

    /// <summary>Ends the try: the backend counts the request out, and the connection is kept or closed.</summary>
    /// <param name="keepMs">How long the connection may wait for its next request; 0: it is closed.</param>
    public void End(Upstream upstream, Loop loop, long keepMs)
    {
        Received.Release(loop.Buffers);
        if (Connection is { } connection)
        {
            Connection = null;
            if (keepMs > 0 && !connection.IsAnnounced)
            {
                connection.Pool.Return(connection, keepMs);
            }
            else
            {
                connection.Io.Close();
            }
        }
        if (_isCountedIn)
        {
            _isCountedIn = false;
            CountLatency(loop, isGood: false); // unless it is counted already
            upstream.Release(Backend!);
        }
    }

    /// <summary>The backend has the whole request from now on.</summary>
    public void BeginLatency(Loop loop) => (_askedNs, _askedStalledNs) = (loop.NowNs, loop.StalledNs);

    /// <summary>Tells the backend's record that it failed us.</summary>
    public void CountError(Loop loop, BackendError error, int status = 0) =>
        Backend!.Traffic.Failed(loop.Index, error, status);

    /// <summary>Tells the backend's record how it answered. A body on its way may still fail.</summary>
    /// <param name="wanted">False: the client gets another backend's answer.</param>
    public void CountAnswer(Loop loop, bool whole, bool wanted = true)
    {
        bool isError = BackendTraffic.IsError(Response.Status);
        CountLatency(loop, isGood: wanted && !isError);
        if (isError)
        {
            CountError(loop, BackendError.Status, Response.Status);
        }
        else if (whole)
        {
            Backend!.Traffic.Succeeded(loop.Index);
        }
    }

    /// <summary>Notes, once for each request that a backend had, how long it took. What the client took to send its
    /// body is no part of that, nor is time in which we did not listen; and an error, or a request that was given up,
    /// says only that a good answer takes no less.</summary>
    public void CountLatency(Loop loop, bool isGood)
    {
        if (_askedNs == 0)
        {
            return;
        }
        long latencyNs = Math.Max(0, loop.NowNs - _askedNs - (loop.StalledNs - _askedStalledNs));
        _askedNs = 0;
        if (isGood)
        {
            Backend!.Traffic.Responded(loop.Index, latencyNs);
            Backend.Latency.Add(latencyNs, loop.NowNs);
        }
        else
        {
            Backend!.Latency.AddFailure(latencyNs, loop.NowNs);
        }
    }

    public void Reset()
    {
        Debug.Assert(!_isCountedIn && Connection is null && !Received.HasBuffer, "the last try was not ended");
        Response.Reset();
        Backend = null;
        IsSent = ChunksBody = false;
        Interims = 0;
        SentNs = _askedNs = 0;
    }
}
