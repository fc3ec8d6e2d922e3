using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>One loop's side of the access log: selects requests, writes their lines into a buffer, and passes it on.
/// Not thread-safe.</summary>
internal sealed class AccessRecorder
{
    /// <summary>Lines wait up to this long for others, to be written together.</summary>
    private const long DelayMs = 50;

    private readonly Loop _loop;
    private readonly TimeProvider _time;
    private readonly byte[] _room = new byte[AccessEntry.RoomBytes];
    private readonly LogFlush _flush;
    private AccessLog? _log;
    private AccessLogWriter? _writer;
    private Snapshot _snapshot;
    private int[] _counts;

    /// <summary>Room for the longest line. Most lines are far shorter, so copying one to the batch costs less than
    /// keeping that room free in each batch.</summary>
    private byte[] _line;

    /// <param name="log">Null: there is no access log.</param>
    public AccessRecorder(Loop loop, TimeProvider time, Snapshot snapshot, AccessLog? log)
    {
        (_loop, _time, _log, _snapshot) = (loop, time, log, snapshot);
        _writer = log is null ? null : new AccessLogWriter(log);
        _counts = snapshot.AccessFilter.NewCounts();
        _line = new byte[snapshot.AccessFormat.MaxBytes];
        _flush = new LogFlush(this);
    }

    /// <summary>Uses this format, filter and log for requests that end from now on.</summary>
    public void Apply(Snapshot snapshot, AccessLog? log)
    {
        if (_log != log)
        {
            Flush();
            (_log, _writer) = (log, log is null ? null : new AccessLogWriter(log));
        }
        _snapshot = snapshot;
        _counts = snapshot.AccessFilter.NewCounts();
        _line = new byte[snapshot.AccessFormat.MaxBytes];
    }

    /// <summary>Writes the line of a request that has ended, if it gets one.</summary>
    /// <param name="head">The buffer that starts with the request's head.</param>
    public void Record(Exchange exchange, ReadOnlySpan<byte> head)
    {
        if (_writer is null)
        {
            return;
        }
        int sample = _snapshot.AccessFilter.Select(exchange.Status, _loop.NowNs - exchange.StartNs, _counts);
        if (sample == 0)
        {
            return;
        }
        var line = new HeadWriter(_line);
        _snapshot.AccessFormat.Write(ref line, new AccessEntry
        {
            Exchange = exchange,
            Head = head,
            Time = _time.GetUtcNow(),
            NowNs = _loop.NowNs,
            Room = _room,
            Queries = _snapshot.QueryMask,
            Sample = sample,
        });
        _writer.Add(_line.AsSpan(0, line.Length));
        if (_flush.DueMs == long.MaxValue)
        {
            _loop.Deadlines.Set(_flush, _loop.NowMs + DelayMs);
        }
    }

    /// <summary>Passes the lines on that are in the buffer.</summary>
    public void Flush() => _writer?.Flush();

    private sealed class LogFlush(AccessRecorder recorder) : Deadline
    {
        public override void OnDue() => recorder.Flush();
    }
}
