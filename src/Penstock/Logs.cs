using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock;

/// <summary>Events go to standard error, so that standard output holds nothing but the access log: short warnings
/// for a person at a terminal, JSON lines for everything else.</summary>
internal static class Logs
{
    public static ILoggerFactory Create(Terminal terminal) => LoggingSetup.Create(
        terminal.ErrorIsTerminal,
        terminal.Color,
        standardError: true,
        minimum: terminal.ErrorIsTerminal ? LogLevel.Warning : LogLevel.Information);
}
