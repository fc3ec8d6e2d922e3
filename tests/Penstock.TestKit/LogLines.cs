using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Penstock.TestKit;

/// <summary>Keeps what is logged, for tests that read it as an operator would.</summary>
public sealed class LogLines : ILoggerFactory, ILogger
{
    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>Logged errors; a test that ends with one has found a bug in Penstock.</summary>
    public ConcurrentQueue<string> Errors { get; } = new();

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }
        Lines.Enqueue(formatter(state, exception));
        if (logLevel >= LogLevel.Error)
        {
            Errors.Enqueue(formatter(state, exception) + " " + exception);
        }
    }
}
