using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Penstock.Control.Telemetry;

internal static class LoggingSetup
{
    private const int QueueLines = 10_000;

    /// <param name="terminal">Write lines for a person instead of JSON.</param>
    /// <param name="color">On a terminal, colour the levels.</param>
    /// <param name="standardError">Write to stderr instead of stdout.</param>
    /// <param name="threshold">Decides which events are written; default: from info on.</param>
    /// <param name="time">The clock for the times in the lines.</param>
    public static ILoggerFactory Create(
        bool terminal, bool color = false, bool standardError = false, EventThreshold? threshold = null,
        TimeProvider? time = null)
    {
        UnsplitLines(standardError);
        TimeProvider clock = time ?? TimeProvider.System;
        threshold ??= new EventThreshold(MinLevel.Info);
        return LoggerFactory.Create(logging =>
        {
            logging.SetMinimumLevel(LogLevel.Trace).AddFilter((category, level) => threshold.Writes(category, level)
                || (terminal && level == LogLevel.Information && threshold.Level == MinLevel.Warning));
            logging.AddConsole(console =>
            {
                console.FormatterName = terminal ? TerminalFormatter.FormatterName : JsonLineFormatter.FormatterName;
                console.LogToStandardErrorThreshold = standardError ? LogLevel.Trace : LogLevel.None;
                console.MaxQueueLength = QueueLines;
                console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite; // a blocked pipe must not block a loop
            });
            logging.Services.AddSingleton<ConsoleFormatter>(
                terminal ? new TerminalFormatter(clock, color, threshold) : new JsonLineFormatter(clock));
        });
    }

    /// <summary>The default writers of Console split a text into pieces of 256 bytes. A line must be written in one
    /// piece, because the access log writes to the same stream.</summary>
    private static void UnsplitLines(bool standardError)
    {
        Stream stream = standardError ? Console.OpenStandardError() : Console.OpenStandardOutput();
        var writer = new StreamWriter(stream, new UTF8Encoding(false), bufferSize: 64 * 1024) { AutoFlush = true };
        if (standardError)
        {
            Console.SetError(writer);
        }
        else
        {
            Console.SetOut(writer);
        }
    }
}
