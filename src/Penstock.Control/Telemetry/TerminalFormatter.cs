using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Penstock.Control.Telemetry;

/// <summary>Short lines for a person: <c>12:00:01 warn  backend web/127.0.0.1:9002 is DOWN: ...</c></summary>
/// <param name="threshold">Null: every event is written.</param>
internal sealed class TerminalFormatter(TimeProvider time, bool color, EventThreshold? threshold = null)
    : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "penstock-terminal";

    /// <summary>What the person at a terminal has caused, who would otherwise not know whether it worked. Written
    /// although the level there is a warning.</summary>
    private static readonly string[] Answers = ["reloaded", "config_changed", "took_over", "handed_over"];

    /// <summary>The end of what a warning has told.</summary>
    private const string Recovery = "backend_up";

    private volatile bool _warned;

    public override void Write<TState>(
        in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        if (!IsWanted(logEntry.Category, logEntry.LogLevel, logEntry.EventId))
        {
            return;
        }
        string level = JsonLineFormatter.Level(logEntry.LogLevel);
        string message = Printable(logEntry.Formatter(logEntry.State, logEntry.Exception));
        string code = logEntry.LogLevel switch
        {
            LogLevel.Error or LogLevel.Critical => "31",
            LogLevel.Warning => "33",
            _ => "2",
        };
        string word = color ? $"\e[{code}m{level,-5}\e[0m" : $"{level,-5}";
        string error = logEntry.Exception is { } exception ? $"\n{exception}" : "";
        textWriter.Write($"{time.GetLocalNow():HH:mm:ss} {word} {message}{error}\n");
    }

    private bool IsWanted(string category, LogLevel level, EventId which)
    {
        _warned |= level >= LogLevel.Warning;
        return threshold is null || threshold.Writes(category, level)
            || Answers.Contains(which.Name) || (which.Name == Recovery && _warned);
    }

    // The message may contain text from a request; its control characters must not reach the terminal.
    private static string Printable(string text) => text.Any(char.IsControl)
        ? string.Concat(text.Select(c => char.IsControl(c) ? '\uFFFD' : c))
        : text;
}
