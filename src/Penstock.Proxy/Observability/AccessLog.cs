using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Observability;

/// <summary>Writes the loops' access lines to their target, on a thread of its own. A full disk, a slow reader or a
/// syslog server that is away never delays a request: when more than 16 MiB wait, further lines are dropped and
/// counted. Thread-safe.</summary>
internal sealed class AccessLog : IDisposable
{
    /// <summary>Bytes of lines that may wait to be written.</summary>
    private const int MaxWaitingBytes = 16 * 1024 * 1024;

    /// <summary>Buffers made at start, so that usual traffic allocates none.</summary>
    private const int SpareBatches = 32;

    private readonly BlockingCollection<(byte[] Buffer, int Length)> _batches = [];
    private readonly ConcurrentQueue<byte[]> _spare = new(
        Enumerable.Range(0, SpareBatches).Select(static _ => new byte[AccessLogWriter.BatchBytes]));
    private readonly AccessLogTarget _config;
    private readonly DroppedLines _dropped;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private IAccessTarget _target;
    private long _waitingBytes;
    private volatile bool _reopens;
    private int _isFull;
    private bool _failing;
    private long _failedAt;

    /// <param name="dropped">Counts lost lines; it outlives the log.</param>
    /// <exception cref="IOException">The target cannot be written to.</exception>
    public AccessLog(AccessLogTarget target, DroppedLines dropped, ILogger logger)
    {
        (_config, _dropped, _logger) = (target, dropped, logger);
        _target = AccessTargets.Open(target);
        _thread = new Thread(Run) { Name = "penstock-access-log", IsBackground = true };
        _thread.Start();
    }

    internal byte[] RentBatch() =>
        _spare.TryDequeue(out byte[]? buffer) ? buffer : new byte[AccessLogWriter.BatchBytes];

    /// <summary>Queues the lines to be written. The buffer belongs to this object from now on.</summary>
    internal void Write(byte[] buffer, int length)
    {
        ReadOnlySpan<byte> lines = buffer.AsSpan(0, length);
        bool fits = Interlocked.Add(ref _waitingBytes, length) <= MaxWaitingBytes;
        // If the target is slow, the lines are copied, so that a few of them do not hold a whole buffer.
        bool copies = fits && _batches.Count >= SpareBatches;
        bool queued = fits && TryQueue(copies ? lines.ToArray() : buffer, length);
        if (!queued)
        {
            Interlocked.Add(ref _waitingBytes, -length);
            _dropped.Add(lines);
            TellFull();
        }
        if (copies || !queued)
        {
            _spare.Enqueue(buffer);
        }
    }

    /// <summary>Opens the path again, after a log rotation has moved the old file away. No line is lost: each is in the
    /// old file or in the new one.</summary>
    public void Reopen()
    {
        if (_config.Kind != AccessLogKind.Stdout)
        {
            _reopens = true;
            TryQueue([], 0); // closes the old file even if no request comes
        }
    }

    /// <summary>Waits up to 2 seconds for the queued lines. A target that is slower gets the rest later, unless the
    /// process ends.</summary>
    public void Dispose()
    {
        _batches.CompleteAdding();
        _thread.Join(TimeSpan.FromSeconds(2)); // a reader that has stopped reading must not keep the process alive
    }

    private bool TryQueue(byte[] buffer, int length)
    {
        try
        {
            return !_batches.IsAddingCompleted && _batches.TryAdd((buffer, length));
        }
        catch (InvalidOperationException)
        {
            return false; // it was closed between the two calls
        }
    }

    private void TellFull()
    {
        if (!_batches.IsAddingCompleted && Interlocked.Exchange(ref _isFull, 1) == 0)
        {
            _logger.LogError(Events.AccessLogFailed,
                "access log {Target} is slower than the requests: {Bytes} bytes wait, further lines are lost",
                _config.Text, MaxWaitingBytes);
        }
    }

    private void Run()
    {
        foreach ((byte[] buffer, int length) in _batches.GetConsumingEnumerable())
        {
            if (_reopens)
            {
                _reopens = false;
                OpenAgain();
            }
            if (length == 0)
            {
                continue;
            }
            Write(buffer.AsSpan(0, length));
            long waiting = Interlocked.Add(ref _waitingBytes, -length);
            if (buffer.Length == AccessLogWriter.BatchBytes)
            {
                _spare.Enqueue(buffer);
            }
            if (waiting < MaxWaitingBytes / 2 && Interlocked.Exchange(ref _isFull, 0) == 1)
            {
                TellRecovered();
            }
        }
        _target.Dispose();
    }

    private void OpenAgain()
    {
        try
        {
            IAccessTarget old = _target;
            _target = AccessTargets.Open(_config);
            old.Dispose();
            _logger.LogInformation(Events.AccessLogReopened, "access log {Path} reopened", _config.Text);
        }
        catch (IOException e)
        {
            _logger.LogError(Events.AccessLogFailed,
                "access log {Path} cannot be reopened: {Cause}; lines still go to the old file", _config.Text,
                e.Message);
        }
    }

    private void Write(ReadOnlySpan<byte> lines)
    {
        int written = 0;
        try
        {
            if (_failing)
            {
                _target.Write("\n"u8, out _); // the last write may have ended within a line
            }
            _target.Write(lines, out written);
            if (_failing && Stopwatch.GetElapsedTime(_failedAt) >= _target.Trial)
            {
                _failing = false;
                TellRecovered();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            _dropped.Add(lines[written..]);
            _failedAt = Stopwatch.GetTimestamp();
            if (!_failing)
            {
                _failing = true;
                _logger.LogError(Events.AccessLogFailed,
                    "access log {Target} cannot be written: {Cause}; lines are lost", _config.Text, e.Message);
            }
        }
    }

    private void TellRecovered() => _logger.LogInformation(Events.AccessLogRecovered,
        "access log {Target} can be written again; lines lost since start: {DroppedLines}", _config.Text,
        _dropped.Lines);
}
