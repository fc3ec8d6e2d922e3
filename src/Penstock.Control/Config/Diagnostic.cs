namespace Penstock.Control.Config;

internal enum Severity
{
    Error,
    Warning,
}

/// <summary>An error or warning about a configuration file. <see cref="Line"/> and <see cref="Column"/> count from 1,
/// in characters; <see cref="SourceLine"/> is null if there is no line to show; <see cref="Path"/> is the place in the
/// configuration (<c>upstreams.web.backends[1]</c>), null at the top.</summary>
internal sealed record Diagnostic(Severity Severity, string Message, string File, int Line, int Column, int Length,
    string? SourceLine, string? Hint, string? Path);

/// <summary>The result of reading a file. The configuration is null if one of the diagnostics is an error.</summary>
internal sealed record ConfigResult(PenstockConfig? Config, IReadOnlyList<Diagnostic> Diagnostics);
