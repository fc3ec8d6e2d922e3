using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Penstock.Control.Config;

/// <summary>Writes diagnostics for people (like rustc, with carets under the place) and for programs (JSON).</summary>
internal static class DiagnosticWriter
{
    private const int MaxPrinted = 20;

    /// <summary>In characters.</summary>
    private const int MaxLine = 100;

    private const string Bold = "\e[1m", Red = "\e[1;31m", Yellow = "\e[1;33m", Blue = "\e[1;34m", Reset = "\e[0m";

    private static readonly DiagnosticTypes Json = new(new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // for a terminal or a file, never for an HTML page
    });

    /// <summary>Writes nothing if there are no diagnostics.</summary>
    public static void WriteText(TextWriter output, string file, IReadOnlyList<Diagnostic> diagnostics, bool color)
    {
        if (diagnostics.Count == 0)
        {
            return;
        }

        foreach (Diagnostic diagnostic in diagnostics.Take(MaxPrinted))
        {
            Write(output, diagnostic, color);
            output.WriteLine();
        }
        if (diagnostics.Count > MaxPrinted)
        {
            output.WriteLine($"and {diagnostics.Count - MaxPrinted} more\n");
        }

        string?[] sums = [Count(diagnostics, Severity.Error), Count(diagnostics, Severity.Warning)];
        output.WriteLine($"{string.Join(", ", sums.Where(sum => sum is not null))} in {file}");
    }

    /// <summary>One JSON object, on one line.</summary>
    public static void WriteJson(TextWriter output, string file, IReadOnlyList<Diagnostic> diagnostics) =>
        output.WriteLine(JsonSerializer.Serialize(new DiagnosticReport(
            file,
            diagnostics.Count(d => d.Severity == Severity.Error),
            diagnostics.Count(d => d.Severity == Severity.Warning),
            diagnostics.Select(Reported)),
            Json.DiagnosticReport));

    private static ReportedDiagnostic Reported(Diagnostic diagnostic) => new()
    {
        Severity = Describe(diagnostic.Severity),
        Message = diagnostic.Message,
        File = diagnostic.File,
        Line = diagnostic.Line,
        Column = diagnostic.Column,
        Length = diagnostic.Length,
        SourceLine = diagnostic.SourceLine,
        Hint = diagnostic.Hint,
        Path = diagnostic.Path,
    };

    private static void Write(TextWriter output, Diagnostic d, bool color)
    {
        string Paint(string style, string text) => color ? style + text + Reset : text;
        string accent = d.Severity == Severity.Error ? Red : Yellow;
        string number = d.Line.ToString();
        string margin = new string(' ', number.Length);

        output.WriteLine(Paint(accent, Describe(d.Severity)) + Paint(Bold, ": " + d.Message));
        output.WriteLine($"{margin}{Paint(Blue, "-->")} {d.File}:{d.Line}:{d.Column}");
        if (d.SourceLine is { } source)
        {
            string bar = Paint(Blue, "|");
            (string shown, int column) = Around(source, d.Column);
            output.WriteLine($"{margin} {bar}");
            output.WriteLine($"{Paint(Blue, number)} {bar} {shown}".TrimEnd());
            output.WriteLine($"{margin} {bar} {Indent(shown, column)}" +
                Paint(accent, $"{Carets(shown, column, d.Length)} {d.Hint}".TrimEnd()));
        }
        else if (d.Hint is { } hint)
        {
            output.WriteLine($"{margin} {Paint(Blue, "=")} {hint}");
        }

        if (d.Path is { } path)
        {
            output.WriteLine($"{margin} {Paint(Blue, "=")} in {path}");
        }
    }

    /// <summary>A long line is cut on both sides of the place.</summary>
    private static (string Line, int Column) Around(string line, int column)
    {
        if (line.Length <= MaxLine)
        {
            return (line, column);
        }
        int from = Math.Max(0, Math.Min(column - 1 - (MaxLine / 2), line.Length - MaxLine));
        string part = line.Substring(from, Math.Min(MaxLine, line.Length - from));
        string before = from > 0 ? "…" : "";
        return (before + part + (from + part.Length < line.Length ? "…" : ""), column - from + before.Length);
    }

    // Keeps tabs, so that the carets are under their text for any tab width.
    private static string Indent(string source, int column) =>
        string.Concat(source.PadRight(column).Take(column - 1).Select(c => c == '\t' ? '\t' : ' '));

    private static string Carets(string source, int column, int length) =>
        new('^', Math.Clamp(length, 1, Math.Max(1, source.Length - column + 1)));

    private static string? Count(IReadOnlyList<Diagnostic> diagnostics, Severity severity) =>
        diagnostics.Count(d => d.Severity == severity) switch
        {
            0 => null,
            1 => "1 " + Describe(severity),
            var many => $"{many} {Describe(severity)}s",
        };

    private static string Describe(Severity severity) => severity == Severity.Error ? "error" : "warning";
}

/// <summary>The output of <c>penstock check --format json</c>.</summary>
internal sealed record DiagnosticReport(
    string File, int Errors, int Warnings, IEnumerable<ReportedDiagnostic> Diagnostics);

internal sealed record ReportedDiagnostic
{
    public required string Severity { get; init; }

    public required string Message { get; init; }

    public required string File { get; init; }

    public required int Line { get; init; }

    public required int Column { get; init; }

    public required int Length { get; init; }

    public required string? SourceLine { get; init; }

    public required string? Hint { get; init; }

    public required string? Path { get; init; }
}

[JsonSerializable(typeof(DiagnosticReport))]
internal sealed partial class DiagnosticTypes : JsonSerializerContext;
