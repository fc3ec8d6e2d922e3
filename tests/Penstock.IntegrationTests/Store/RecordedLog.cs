using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Penstock.IntegrationTests.Store;

/// <summary>Keeps what was logged, and lets a test wait for a line.</summary>
internal sealed class RecordedLog : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, EventId Event, string Message)> _lines = new();
    private readonly SemaphoreSlim _arrived = new(0);

    public ILoggerFactory Factory => LoggerFactory.Create(logging =>
        logging.AddProvider(this).AddFilter("Microsoft", LogLevel.Warning));

    public IReadOnlyList<string> Lines => [.. _lines.Select(line => line.Message)];

    public int Count(string eventName) => _lines.Count(line => line.Event.Name == eventName);

    public async Task WaitForAsync(string eventName)
    {
        while (Count(eventName) == 0)
        {
            if (!await _arrived.WaitAsync(TimeSpan.FromSeconds(20)))
            {
                throw new TimeoutException($"no event {eventName} in: {string.Join('\n', Lines)}");
            }
        }
    }

    public ILogger CreateLogger(string categoryName) => this;
    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        _lines.Enqueue((logLevel, eventId, formatter(state, exception) + (exception is null ? "" : $"\n{exception}")));
        _arrived.Release();
    }

    public void Dispose()
    {
        // outlives the factories that write to it
    }
}
