using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Penstock.Control.Telemetry;

/// <summary>Writes one JSON object per line: time, level, event, message, the values of the message by name in
/// snake_case, and error.</summary>
internal sealed class JsonLineFormatter(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "penstock-json";

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public override void Write<TState>(
        in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ"));
            json.WriteString("level", Level(logEntry.LogLevel));
            json.WriteString("event", logEntry.EventId.Name ?? logEntry.Category.Split('.')[^1]);
            json.WriteString("message", logEntry.Formatter(logEntry.State, logEntry.Exception));
            if (logEntry.State is IReadOnlyList<KeyValuePair<string, object?>> values)
            {
                WriteValues(json, values);
            }

            if (logEntry.Exception is { } error)
            {
                json.WriteString("error", error.ToString());
            }

            json.WriteEndObject();
        }
        textWriter.Write(Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n");
    }

    /// <summary>Every word has at most five letters, so that columns line up after padding to five.</summary>
    internal static string Level(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "fatal",
    };

    private static void WriteValues(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        foreach ((string? name, object? value) in values)
        {
            if (name == "{OriginalFormat}")
            {
                continue;
            }

            string key = JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
            json.WritePropertyName(key is "time" or "level" or "event" or "message" or "error" ? key + "_" : key);
            switch (value)
            {
                case null: json.WriteNullValue(); break;
                case bool b: json.WriteBooleanValue(b); break;
                case int or long or short or byte or uint: json.WriteNumberValue(Convert.ToInt64(value)); break;
                case double d when double.IsFinite(d): json.WriteNumberValue(d); break;
                default: json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture)); break;
            }
        }
    }
}
