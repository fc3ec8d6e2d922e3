using System.ComponentModel;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Dashboard;

[Description("Something that happened: a reload, a change of a backend's state, an edit.")]
internal sealed record Mark(
    [property: Description("Grows by one with each mark.")] long Id,
    DateTimeOffset Time,
    [property: Description("The name of the event in the log.")] string Event,
    [property: Description("`info`, `warning` or `error`.")] string Level,
    [property: Description("The sentence in the log.")] string Text,
    [property: Description("How many such events came within a second; the text is that of the last.")] int Times);

/// <summary>The last events that the log says, at every level of the log, for the pictures of the dashboard. Memory is
/// bounded: so many marks, each with so much text; what happens many times in a second is one mark. Thread-safe.
/// </summary>
internal sealed class Marks(TimeProvider time)
{
    /// <summary>How many are kept.</summary>
    public const int Kept = 500;

    private const int MaxText = 400;

    private static readonly TimeSpan Together = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly LinkedList<Mark> _marks = new();
    private long _id;

    /// <summary>Called after each new mark, on the thread where it happened; it must not wait.</summary>
    public Action? Added { get; set; }

    /// <summary>Those since a time, the oldest first; at most <paramref name="most"/>, the newest.</summary>
    public IReadOnlyList<Mark> Since(DateTimeOffset since, int most = Kept)
    {
        lock (_lock)
        {
            return [.. _marks.Where(mark => mark.Time >= since).TakeLast(most)];
        }
    }

    public void Add(string name, LogLevel level, string text)
    {
        string word = level switch
        {
            LogLevel.Warning => "warning",
            >= LogLevel.Error => "error",
            _ => "info",
        };
        text = text.Length <= MaxText ? text : text[..MaxText] + "…";
        DateTimeOffset now = time.GetUtcNow();
        lock (_lock)
        {
            if (_marks.Last?.Value is { } last && last.Event == name && last.Level == word
                && now - last.Time < Together)
            {
                _marks.Last!.Value = last with { Text = text, Times = last.Times + 1 };
                return;
            }
            _marks.AddLast(new Mark(++_id, now, name, word, text, 1));
            if (_marks.Count > Kept)
            {
                _marks.RemoveFirst();
            }
        }
        Added?.Invoke();
    }
}

/// <summary>Makes a mark of each event of Penstock from <see cref="LogLevel.Information"/> on, whether or not the log
/// writes it. A reload's single changes are left out: they are many, and <c>GET /reload</c> lists them.</summary>
internal sealed class MarkingLoggers(ILoggerFactory inner, Marks marks) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName)
    {
        ILogger logger = inner.CreateLogger(categoryName);
        return categoryName.StartsWith("penstock", StringComparison.OrdinalIgnoreCase)
            ? new MarkingLogger(logger, marks) : logger;
    }

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    public void Dispose()
    {
        // The creator of the inner factory disposes it.
    }

    private sealed class MarkingLogger(ILogger inner, Marks marks) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            inner.Log(logLevel, eventId, state, exception, formatter);
            if (logLevel >= LogLevel.Information && eventId.Name is { } name && eventId != Events.ConfigChanged)
            {
                marks.Add(name, logLevel, formatter(state, exception));
            }
        }
    }
}
