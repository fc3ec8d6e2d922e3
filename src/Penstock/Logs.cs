using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock;

/// <summary>Events go to standard error, so that standard output contains only the access log. A terminal gets
/// warnings and errors as short lines, anything else gets JSON lines.</summary>
internal static class Logs
{
    public static ILoggerFactory Create(Terminal terminal) => LoggingSetup.Create(
        terminal.ErrorIsTerminal,
        terminal.Color,
        standardError: true,
        minimum: terminal.ErrorIsTerminal ? LogLevel.Warning : LogLevel.Information);
}
