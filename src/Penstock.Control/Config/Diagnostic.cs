namespace Penstock.Control.Config;

internal enum Severity
{
    Error,
    Warning,
}

/// <summary>An error or warning about a configuration file.</summary>
internal sealed record Diagnostic
{
    public Severity Severity { get; init; } = Severity.Error;
    public required string Message { get; init; }
    public required string File { get; init; }

    /// <summary>From 1.</summary>
    public int Line { get; init; } = 1;

    /// <summary>In characters, from 1.</summary>
    public int Column { get; init; } = 1;

    /// <summary>In characters.</summary>
    public int Length { get; init; } = 1;

    /// <summary>Null where there is no line to show.</summary>
    public string? SourceLine { get; init; }

    /// <summary>What to write instead; null when nobody knows.</summary>
    public string? Hint { get; init; }

    /// <summary>Where in the configuration, such as <c>upstreams.web.backends[1]</c>; null at the top.</summary>
    public string? Path { get; init; }
}

/// <summary>The result of reading a file. The configuration is null if one of the diagnostics is an error.</summary>
internal sealed record ConfigResult(PenstockConfig? Config, IReadOnlyList<Diagnostic> Diagnostics)
{
    /// <summary>See <see cref="Report.Files"/>.</summary>
    public IReadOnlyList<FileVersion> Files { get; init; } = [];
}
