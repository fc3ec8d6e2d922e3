namespace Penstock.Simulation;

/// <summary>What a replay needs of a request.</summary>
internal ref struct LogLine
{
    /// <summary>Whom it is counted for, in UTF-8.</summary>
    public ReadOnlySpan<byte> Key;

    /// <summary>When it was decided, in nanoseconds since 1970.</summary>
    public long UnixNs;

    /// <summary>A limit rejected it when it was made.</summary>
    public bool Rejected;

    /// <summary>It never came to a limit: it was no request, or nothing was responsible for it.</summary>
    public bool Undecided;
}

internal enum LogFormat
{
    Auto,
    Json,
    Common,
    Combined,
}
