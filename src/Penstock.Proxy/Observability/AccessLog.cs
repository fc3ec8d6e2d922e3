using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>Takes the loops' access lines to stdout or a file on a thread of its own. A disk that is full or a reader
/// that sleeps never holds a request up: what does not fit the bound is dropped and counted. Thread-safe.</summary>
internal sealed class AccessLog : IDisposable
{
    /// <summary>Batches under way, of up to <see cref="AccessLogWriter.BatchBytes"/> each.</summary>
    private const int MaxBatches = 256;

    /// <summary>Made at start, so that usual traffic allocates none.</summary>
    private const int SpareBatches = 32;

    private readonly BlockingCollection<(byte[] Buffer, int Length)> _batches = new(MaxBatches);
    private readonly ConcurrentQueue<byte[]> _spare = new(
        Enumerable.Range(0, SpareBatches).Select(static _ => new byte[AccessLogWriter.BatchBytes]));
    private readonly Stream _stream;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private long _droppedBytes;
    private bool _failing;

    /// <exception cref="IOException">The file cannot be opened for appending.</exception>
    /// <exception cref="UnauthorizedAccessException">Nor is it allowed.</exception>
    public AccessLog(string target, ILogger logger)
    {
        _stream = string.Equals(target, "stdout", StringComparison.Ordinal) ? Console.OpenStandardOutput()
            : new FileStream(target, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 1);
        _logger = logger;
        _thread = new Thread(Run) { Name = "penstock-access-log", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Octets of lines that could not be written since start.</summary>
    public long DroppedBytes => Volatile.Read(ref _droppedBytes);

    internal byte[] RentBatch() =>
        _spare.TryDequeue(out byte[]? buffer) ? buffer : new byte[AccessLogWriter.BatchBytes];

    internal void Write(byte[] buffer, int length)
    {
        if (_batches.IsAddingCompleted || !_batches.TryAdd((buffer, length)))
        {
            Interlocked.Add(ref _droppedBytes, length);
            _spare.Enqueue(buffer);
        }
    }

    /// <summary>Writes what was handed over, then closes.</summary>
    public void Dispose()
    {
        _batches.CompleteAdding();
        _thread.Join(TimeSpan.FromSeconds(2)); // a reader that sleeps must not keep the process
        _stream.Dispose();
    }

    private void Run()
    {
        foreach ((byte[] buffer, int length) in _batches.GetConsumingEnumerable())
        {
            try
            {
                if (_failing)
                {
                    _stream.WriteByte((byte)'\n'); // what was written last may have ended within a line
                }
                _stream.Write(buffer, 0, length);
                _stream.Flush();
                if (_failing)
                {
                    _failing = false;
                    _logger.LogInformation(Events.AccessLogRecovered,
                        "access log is written again, {DroppedBytes} bytes were lost", DroppedBytes);
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
            {
                Interlocked.Add(ref _droppedBytes, length);
                if (!_failing)
                {
                    _failing = true;
                    _logger.LogError(Events.AccessLogFailed, "access log cannot be written: {Cause}", e.Message);
                }
            }
            _spare.Enqueue(buffer);
        }
    }
}
