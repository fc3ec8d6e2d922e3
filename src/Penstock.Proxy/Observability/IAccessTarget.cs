using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Observability;

/// <summary>What the access log writes to. Not thread-safe.</summary>
internal interface IAccessTarget : IDisposable
{
    /// <summary>How long writes must have succeeded after a failure, before the target counts as working. A datagram
    /// is sent without an error even if nobody receives it.</summary>
    TimeSpan Trial { get; }

    /// <summary>Writes all of the lines; each ends with a line feed.</summary>
    /// <param name="written">How many bytes were written, also if it throws.</param>
    /// <exception cref="IOException">Not all of the lines were written; the message says why.</exception>
    void Write(ReadOnlySpan<byte> lines, out int written);
}

internal static class AccessTargets
{
    /// <exception cref="IOException">The target cannot be written to; the message says why.</exception>
    public static IAccessTarget Open(AccessLogTarget target) => target.Kind switch
    {
        AccessLogKind.Stdout => new StandardOutput(),
        AccessLogKind.SyslogSocket or AccessLogKind.SyslogUdp => new SyslogTarget(target),
        _ => AccessLogFile.Open(target.Address),
    };
}

/// <summary>Standard output. Not thread-safe.</summary>
internal sealed class StandardOutput : IAccessTarget
{
    private readonly Stream _stream = Console.OpenStandardOutput();

    public TimeSpan Trial => TimeSpan.Zero;

    public void Write(ReadOnlySpan<byte> lines, out int written)
    {
        written = 0;
        _stream.Write(lines);
        _stream.Flush();
        written = lines.Length;
    }

    public void Dispose() => _stream.Dispose();
}
