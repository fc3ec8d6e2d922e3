using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>Writes the loops' access lines to stdout or a file, on a thread of its own. A full disk or a slow reader
/// never delays a request: when more than 16 MiB wait, further lines are dropped and counted. Thread-safe.</summary>
internal sealed class AccessLog : IDisposable
{
    /// <summary>Bytes of lines that may wait to be written.</summary>
    private const int MaxWaitingBytes = 16 * 1024 * 1024;

    /// <summary>Buffers made at start, so that usual traffic allocates none.</summary>
    private const int SpareBatches = 32;

    private readonly BlockingCollection<(byte[] Buffer, int Length)> _batches = [];
    private readonly ConcurrentQueue<byte[]> _spare = new(
        Enumerable.Range(0, SpareBatches).Select(static _ => new byte[AccessLogWriter.BatchBytes]));
    private readonly string _target;
    private readonly Stream? _standardOutput;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private AccessLogFile? _file;
    private long _waitingBytes;
    private long _droppedBytes;
    private volatile bool _reopens;
    private bool _failing;

    /// <exception cref="IOException">The file cannot be written to.</exception>
    public AccessLog(string target, ILogger logger)
    {
        (_target, _logger) = (target, logger);
        if (string.Equals(target, "stdout", StringComparison.Ordinal))
        {
            _standardOutput = Console.OpenStandardOutput();
        }
        else
        {
            _file = AccessLogFile.Open(target);
        }
        _thread = new Thread(Run) { Name = "penstock-access-log", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Bytes of lines that were lost since start.</summary>
    public long DroppedBytes => Volatile.Read(ref _droppedBytes);

    internal byte[] RentBatch() =>
        _spare.TryDequeue(out byte[]? buffer) ? buffer : new byte[AccessLogWriter.BatchBytes];

    /// <summary>Queues the lines to be written. The buffer belongs to this object from now on.</summary>
    internal void Write(byte[] buffer, int length)
    {
        if (_batches.IsAddingCompleted || Interlocked.Add(ref _waitingBytes, length) > MaxWaitingBytes)
        {
            Interlocked.Add(ref _waitingBytes, -length);
            Interlocked.Add(ref _droppedBytes, length);
            _spare.Enqueue(buffer);
            return;
        }
        if (_batches.Count >= SpareBatches)
        {
            // The target is slow: copy the lines, so that a few of them do not hold a whole buffer.
            byte[] copy = buffer.AsSpan(0, length).ToArray();
            _spare.Enqueue(buffer);
            buffer = copy;
        }
        _batches.Add((buffer, length));
    }

    /// <summary>Opens the path again, after a log rotation has moved the old file away. No line is lost: each is in the
    /// old file or in the new one.</summary>
    public void Reopen()
    {
        if (_file is null || _batches.IsAddingCompleted)
        {
            return;
        }
        _reopens = true;
        _batches.TryAdd(([], 0)); // closes the old file even if no request comes
    }

    /// <summary>Writes the queued lines, for up to 2 seconds, then closes.</summary>
    public void Dispose()
    {
        _batches.CompleteAdding();
        _thread.Join(TimeSpan.FromSeconds(2)); // a reader that has stopped reading must not keep the process alive
        _standardOutput?.Dispose();
        _file?.Dispose();
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
            if (length > 0)
            {
                Write(buffer.AsSpan(0, length));
                Interlocked.Add(ref _waitingBytes, -length);
                if (buffer.Length == AccessLogWriter.BatchBytes)
                {
                    _spare.Enqueue(buffer);
                }
            }
        }
    }

    private void OpenAgain()
    {
        try
        {
            AccessLogFile old = _file!;
            _file = AccessLogFile.Open(_target);
            old.Dispose();
            _logger.LogInformation(Events.AccessLogReopened, "access log {Path} reopened", _target);
        }
        catch (IOException e)
        {
            _logger.LogError(Events.AccessLogFailed,
                "access log {Path} cannot be reopened: {Cause}; lines still go to the old file", _target, e.Message);
        }
    }

    private void Write(ReadOnlySpan<byte> lines)
    {
        try
        {
            if (_failing)
            {
                WriteOut("\n"u8); // the last write may have ended within a line
            }
            WriteOut(lines);
            if (_failing)
            {
                _failing = false;
                _logger.LogInformation(Events.AccessLogRecovered,
                    "access log can be written again; {DroppedBytes} bytes were lost since start", DroppedBytes);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            Interlocked.Add(ref _droppedBytes, lines.Length);
            if (!_failing)
            {
                _failing = true;
                _logger.LogError(Events.AccessLogFailed, "access log cannot be written: {Cause}; lines are lost",
                    e.Message);
            }
        }
    }

    private void WriteOut(ReadOnlySpan<byte> lines)
    {
        if (_file is { } file)
        {
            file.Write(lines);
        }
        else
        {
            _standardOutput!.Write(lines);
            _standardOutput.Flush();
        }
    }
}
