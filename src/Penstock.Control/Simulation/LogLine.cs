namespace Penstock.Control.Simulation;

/// <summary>The values of a request that a replay needs.</summary>
internal ref struct LogLine
{
    /// <summary>The client that it counts for, in UTF-8.</summary>
    public ReadOnlySpan<byte> Key;

    /// <summary>When the limit decided, in nanoseconds since 1970.</summary>
    public long UnixNs;

    /// <summary>True if a limit rejected it according to the log.</summary>
    public bool Rejected;

    /// <summary>True if no limit applied: the request was invalid, or it had no route.</summary>
    public bool Undecided;

    /// <summary>True if the line is an event of Penstock, which writes them in the same form to another stream.
    /// </summary>
    public bool Event;

    /// <summary>True if the line has no value that names the client, which is a fault too.</summary>
    public bool Keyless;

    /// <summary>True if a line that is not JSON has the fields that only the combined format has.</summary>
    public bool Combined;
}

internal enum LogFormat
{
    Auto,
    Json,
    Common,
    Combined,
}
