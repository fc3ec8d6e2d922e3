using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Observability;

/// <summary>Sends each line as a syslog message (RFC 5424) in a datagram, to a daemon's socket or to a server (RFC
/// 5426). A target that is away is tried once per second; until then lines are dropped at once, because the lookup of
/// its name may take long. Not thread-safe.</summary>
internal sealed class SyslogTarget(AccessLogTarget target, TimeProvider? time = null) : IAccessTarget
{
    /// <summary>Facility local7, severity informational: what nginx sends.</summary>
    private const int Priority = (23 * 8) + 6;

    private const int MaxHostBytes = 255;

    /// <summary>Room for what stands before the line.</summary>
    private const int MaxHeaderBytes = 512;

    /// <summary>A daemon that does not read must not hold the lines up for longer.</summary>
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly byte[] _message = new byte[MaxHeaderBytes + AccessLogWriter.BatchBytes];
    private readonly byte[] _origin = Encoding.ASCII.GetBytes(
        $" {HostName()} penstock {Environment.ProcessId.ToString(CultureInfo.InvariantCulture)} access - ");
    private Socket? _socket;
    private string? _fault;
    private long _failedAt;

    public TimeSpan Trial => TimeSpan.FromSeconds(10);

    private bool IsLocal => target.Kind == AccessLogKind.SyslogSocket;

    public void Write(ReadOnlySpan<byte> lines, out int written)
    {
        written = 0;
        if (_fault is not null && _time.GetElapsedTime(_failedAt) < RetryInterval)
        {
            throw new IOException(_fault);
        }
        _fault = null;
        DateTimeOffset now = _time.GetUtcNow();
        try
        {
            _socket ??= Connect();
            while (written < lines.Length)
            {
                ReadOnlySpan<byte> line = lines[written..(written + lines[written..].IndexOf((byte)'\n'))];
                if (!line.IsEmpty)
                {
                    _socket.Send(_message.AsSpan(0, Frame(line, now)));
                }
                written += line.Length + 1;
            }
        }
        // The framework rejects an address of a family that this machine does not have by one of the last two.
        catch (Exception e) when (e is SocketException or NotSupportedException or ArgumentException)
        {
            Dispose();
            (_fault, _failedAt) = (CauseOf(e), _time.GetTimestamp());
            throw new IOException(_fault, e);
        }
    }

    public void Dispose()
    {
        _socket?.Dispose();
        _socket = null;
    }

    /// <summary>Makes the message of a line.</summary>
    /// <returns>Its length.</returns>
    private int Frame(ReadOnlySpan<byte> line, DateTimeOffset now)
    {
        var message = new HeadWriter(_message);
        message.Add("<"u8);
        message.Add(Priority);
        message.Add(">1 "u8);
        Span<byte> text = stackalloc byte[40];
        now.UtcDateTime.TryFormat(text, out _, "O", CultureInfo.InvariantCulture);
        message.Add(text[..23]); // milliseconds
        message.Add("Z"u8);
        message.Add(_origin);
        message.Add(line);
        return message.Length;
    }

    private string CauseOf(Exception fault) => (fault as SocketException)?.SocketErrorCode switch
    {
        SocketError.WouldBlock or SocketError.TimedOut => "the daemon does not read its socket",
        SocketError.AddressNotAvailable when IsLocal => "there is no such socket",
        _ => fault.Message,
    };

    private Socket Connect()
    {
        Socket socket = IsLocal ? new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified)
            : new Socket(SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.SendTimeout = (int)SendTimeout.TotalMilliseconds;
            if (IsLocal)
            {
                socket.Connect(new UnixDomainSocketEndPoint(target.Address));
            }
            else
            {
                socket.Connect(target.Address, target.Port);
            }
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Printable ASCII without spaces, as RFC 5424 wants it.</summary>
    private static string HostName()
    {
        string name = string.Concat(Environment.MachineName.Where(static c => c is > ' ' and < '\x7f'));
        return name.Length == 0 ? "-" : name[..Math.Min(name.Length, MaxHostBytes)];
    }
}
