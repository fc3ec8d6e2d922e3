using System.Diagnostics;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>One attempt at one backend, from the moment the backend counts the request in to the moment it counts it
/// out. Reused with its exchange. Not thread-safe.</summary>
internal sealed class Attempt(HeadBounds bounds)
{
    private bool _isCountedIn;

    /// <summary>The backend of this attempt, also after its end; null before the first attempt.</summary>
    public Backend? Backend;

    /// <summary>The backend connection; null before it is opened or rented, and after it was returned or
    /// closed.</summary>
    public BackendConnection? Connection;

    /// <summary>Its span; null: it is not traced.</summary>
    public Activity? Span;

    /// <summary>The backend has the whole request.</summary>
    public bool IsSent;

    /// <summary>Interim responses that the backend has sent.</summary>
    public int Interims;

    /// <summary>Bytes of the response that were received and not yet passed on.</summary>
    public ByteWindow Received;
    public BodyReader Body;

    /// <summary>The response's body is sent to the client in chunks.</summary>
    public bool ChunksBody;

    /// <summary>When the request's first byte was sent.</summary>
    public long SentNs;

    // When the backend had received the whole request, and Loop.StalledNs then. 0: it has not, or the latency is
    // counted already.
    private long _askedNs;
    private long _askedStalledNs;

    public ResponseHead Response { get; } = new(bounds);

    /// <summary>Bytes of a response have arrived, interim responses included.</summary>
    public bool HasBegunToRespond => Received.Length > 0 || Interims > 0;

    /// <summary>The backend connection. Call it only while there is one.</summary>
    public Connection Io => Connection!.Io;

    /// <param name="backend">The backend, which has counted the request in.</param>
    public void Begin(Backend backend)
    {
        if (Backend is not null)
        {
            Reset(); // after another attempt of the same request
        }
        Debug.Assert(!_isCountedIn && Connection is null && !Received.HasBuffer, "the last attempt was not ended");
        Backend = backend;
        _isCountedIn = true;
    }

    /// <summary>Ends the attempt: the backend counts the request out, and the connection goes to the pool or is
    /// closed.</summary>
    /// <param name="keepMs">How long the connection may stay idle in the pool; 0: it is closed.</param>
    public void End(Upstream upstream, Loop loop, long keepMs)
    {
        Tracing.End(this);
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
            CountLatency(loop, isGood: false); // does nothing if it is counted already
            upstream.Release(Backend!);
        }
    }

    /// <summary>The backend has the whole request now: the latency begins.</summary>
    public void BeginLatency(Loop loop) => (_askedNs, _askedStalledNs) = (loop.NowNs, loop.StalledNs);

    /// <summary>Counts an error of the backend.</summary>
    public void CountError(Loop loop, BackendError error, int status = 0) =>
        Backend!.Traffic.Failed(loop.Index, error, status);

    /// <summary>Counts the backend's response. Its body may still fail.</summary>
    /// <param name="wanted">False: the client gets another backend's response.</param>
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

    /// <summary>Counts the latency of the request, once. It excludes the time that the client took to send its body,
    /// and the time in which the loop was stalled. An error or a request that was given up shows only that a good
    /// response would take at least this long.</summary>
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
        Debug.Assert(!_isCountedIn && Connection is null && !Received.HasBuffer, "the last attempt was not ended");
        Response.Reset();
        Backend = null;
        IsSent = ChunksBody = false;
        Interims = 0;
        SentNs = _askedNs = 0;
    }
}
