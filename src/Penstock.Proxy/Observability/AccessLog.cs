using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>Takes the loops' access lines to stdout or a file on a thread of its own. A disk that is full or a reader
/// that sleeps never holds a request up: what does not fit the bound is dropped and counted. Thread-safe.</summary>
internal sealed class AccessLog : IDisposable
{
    /// <summary>Bound of the lines that wait to be written.</summary>
    private const int MaxWaitingBytes = 16 * 1024 * 1024;

    /// <summary>Made at start, so that usual traffic allocates none.</summary>
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

    /// <summary>Bytes of lines that could not be written since start.</summary>
    public long DroppedBytes => Volatile.Read(ref _droppedBytes);

    internal byte[] RentBatch() =>
        _spare.TryDequeue(out byte[]? buffer) ? buffer : new byte[AccessLogWriter.BatchBytes];

    /// <summary>Takes over the buffer.</summary>
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
            // The target is slow: a few lines must not hold a whole buffer each.
            byte[] copy = buffer.AsSpan(0, length).ToArray();
            _spare.Enqueue(buffer);
            buffer = copy;
        }
        _batches.Add((buffer, length));
    }

    /// <summary>Goes on with the file that has the name by now. Every line is in the one or in the other.</summary>
    public void Reopen()
    {
        if (_file is null || _batches.IsAddingCompleted)
        {
            return;
        }
        _reopens = true;
        _batches.TryAdd(([], 0)); // so that the old file is let go even if nobody comes
    }

    /// <summary>Writes what was handed over, then closes.</summary>
    public void Dispose()
    {
        _batches.CompleteAdding();
        _thread.Join(TimeSpan.FromSeconds(2)); // a reader that sleeps must not keep the process
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
            _logger.LogInformation(Events.AccessLogReopened, "access log {Path} is opened anew", _target);
        }
        catch (IOException e)
        {
            _logger.LogError(Events.AccessLogFailed,
                "access log {Path} cannot be opened anew: {Cause}; the old file is written on", _target, e.Message);
        }
    }

    private void Write(ReadOnlySpan<byte> lines)
    {
        try
        {
            if (_failing)
            {
                WriteOut("\n"u8); // what was written last may have ended within a line
            }
            WriteOut(lines);
            if (_failing)
            {
                _failing = false;
                _logger.LogInformation(Events.AccessLogRecovered,
                    "access log is written again, {DroppedBytes} bytes were lost", DroppedBytes);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            Interlocked.Add(ref _droppedBytes, lines.Length);
            if (!_failing)
            {
                _failing = true;
                _logger.LogError(Events.AccessLogFailed, "access log cannot be written: {Cause}", e.Message);
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
