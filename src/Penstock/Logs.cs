using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock;

/// <summary>Events go to standard error, so that standard output contains only the access log. A terminal gets
/// warnings and errors as short lines, anything else gets JSON lines.</summary>
internal static class Logs
{
    /// <summary>The level of events until the configuration sets one.</summary>
    public static EventThreshold Threshold(Terminal terminal) =>
        new(terminal.ErrorIsTerminal ? MinLevel.Warning : MinLevel.Info);

    public static ILoggerFactory Create(Terminal terminal, EventThreshold threshold) => LoggingSetup.Create(
        terminal.ErrorIsTerminal, terminal.Color, standardError: true, threshold);
}
