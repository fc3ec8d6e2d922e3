using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Penstock.Control.Telemetry;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

public sealed class LogLineTests
{
    [Fact]
    public void Json_line_has_the_values_by_name_and_stays_one_line()
    {
        string line = Format(new JsonLineFormatter(new ManualTime()), log => log.LogWarning(
            new EventId(1, "backend_down"),
            "backend {BackendAddress} is DOWN: {Cause}, {Left} of {Total} left, {Share} {Time}",
            "127.0.0.1:9002", "connection refused\n\"really\"", 2, 3L, 0.5, null));

        Assert.Equal(
            """
            {"time":"2026-11-21T04:05:06.000Z","level":"warn","event":"backend_down",
            "message":"backend 127.0.0.1:9002 is DOWN: connection refused\n\"really\", 2 of 3 left, 0.5 (null)",
            "backend_address":"127.0.0.1:9002","cause":"connection refused\n\"really\"","left":2,"total":3,
            "share":0.5,"time_":null}
            """.ReplaceLineEndings("") + "\n", line);
    }

    [Fact]
    public void Json_line_without_an_event_names_the_source_and_carries_the_error()
    {
        string line = Format(new JsonLineFormatter(TimeProvider.System), log =>
            log.LogError(new InvalidOperationException("boom"), "it broke"));

        var json = JsonElement.Parse(line);
        Assert.Equal("LogLineTests", json.GetProperty("event").GetString());
        Assert.Equal("error", json.GetProperty("level").GetString());
        Assert.Contains("boom", json.GetProperty("error").GetString());
    }

    [Theory]
    [InlineData(LogLevel.Information, false, "info  ")]
    [InlineData(LogLevel.Warning, false, "warn  ")]
    [InlineData(LogLevel.Error, true, "\e[31merror\e[0m ")]
    public void Terminal_line_is_time_level_and_message(LogLevel level, bool color, string word)
    {
        var time = new ManualTime();
        string line = Format(new TerminalFormatter(time, color), log => log.Log(level, "up {Name}", "a\e[2J\nb"));

        Assert.Equal($"{time.GetLocalNow():HH:mm:ss} {word}up a\uFFFD[2J\uFFFDb\n", line);
    }

    private static string Format(ConsoleFormatter formatter, Action<ILogger> write)
    {
        var output = new StringWriter();
        write(new FormattingLogger(formatter, output));
        return output.ToString();
    }

    private sealed class FormattingLogger(ConsoleFormatter formatter, TextWriter output) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> text) => formatter.Write(
                new LogEntry<TState>(logLevel, "Penstock.LogLineTests", eventId, state, exception, text), null, output);
    }
}
