using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Checks one backend once, on a connection of its own: with an HTTP request, or by a TCP connect alone. It
/// connects as requests do (to either address, with a PROXY protocol header if the upstream sends one) and parses the
/// response with the same strict parser. So a backend that passes can serve requests.</summary>
internal sealed class HealthProbe
{
    /// <summary>How much of a response's body is searched for the expected text.</summary>
    private const int MaxBodyBytes = 64 * 1024;

    private readonly Backend _backend;
    private readonly HealthCheckConfig _check;
    private readonly string _path; // without a query, which may hold a secret
    private readonly TimeProvider _time;
    private readonly SelfDelay _selfDelay;
    private readonly byte[]? _request;
    private readonly byte[]? _expectBody;

    public HealthProbe(Backend backend, HealthCheckConfig check, TimeProvider time, SelfDelay selfDelay)
    {
        _backend = backend;
        _check = check;
        _path = (check.Path ?? "/").Split('?', 2)[0];
        _time = time;
        _selfDelay = selfDelay;
        if (check.Path is not null)
        {
            _request = Encoding.UTF8.GetBytes(RequestOf(backend, check));
            _expectBody = check.ExpectBody is null ? null : Encoding.UTF8.GetBytes(check.ExpectBody);
        }
    }

    /// <summary>See <see cref="UpstreamConfig.SendProxyVersion"/>.</summary>
    public int ProxyProtocolVersion { get; set; }

    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was cancelled.</exception>
    public async Task<CheckResult> RunAsync(CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        TimeSpan lost = _selfDelay.Lost;
        Task<CheckResult> answer = AskAsync(end.Token);
        try
        {
            // If this process was not running during part of the timeout, extend the timeout by that time.
            for (TimeSpan left = _check.Timeout; left > TimeSpan.Zero;)
            {
                if (await IsInTimeAsync(answer, left, stop))
                {
                    return await answer;
                }
                TimeSpan lostNow = _selfDelay.Lost;
                left = lostNow - lost < _check.Timeout ? lostNow - lost : _check.Timeout;
                lost = lostNow;
            }
            return CheckResult.Failed($"no response in {_check.Timeout.TotalMilliseconds:0} ms");
        }
        finally
        {
            await end.CancelAsync();
            await ((Task)answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Turns a socket error into a result, in words that operators know. When this machine has no descriptors,
    /// ports or memory left, the check is inconclusive.</summary>
    internal static CheckResult Judge(SocketException error) => error.SocketErrorCode switch
    {
        SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable or SocketError.AddressNotAvailable
            or SocketError.ProcessLimit => CheckResult.Inconclusive(error.Message),
        SocketError.ConnectionRefused => CheckResult.Failed("connection refused"),
        SocketError.ConnectionReset => CheckResult.Failed("connection reset"),
        SocketError.TimedOut => CheckResult.Failed("connect timeout"),
        SocketError.HostNotFound => CheckResult.Failed("name does not resolve"),
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => CheckResult.Failed("host unreachable"),
        _ => CheckResult.Failed(error.Message),
    };

    /// <summary>The path is sent as configured. The Host field is what a client would send for the configured address:
    /// a name stays a name.</summary>
    private static string RequestOf(Backend backend, HealthCheckConfig check)
    {
        var head = new StringBuilder($"{check.Method} {check.Path} HTTP/1.1\r\n");
        var fields = new List<CheckField>(check.Fields);
        AddMissing("Host", HostOf(backend));
        AddMissing("User-Agent", "penstock-health-check");
        AddMissing("Connection", "close");
        if (check.Method is not ("GET" or "HEAD" or "OPTIONS" or "DELETE" or "TRACE"))
        {
            AddMissing("Content-Length", "0");
        }
        foreach (CheckField field in fields)
        {
            head.Append(field.Name).Append(": ").Append(field.Value).Append("\r\n");
        }
        return head.Append("\r\n").ToString();

        void AddMissing(string name, string value)
        {
            if (!check.Fields.Any(f => f.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                fields.Add(new CheckField(name, value));
            }
        }
    }

    private static string HostOf(Backend backend)
    {
        string defaultPort = backend.Config.IsTls ? ":443" : ":80";
        string host = backend.Config.Port == 0 ? "localhost" : backend.Name ?? backend.Address;
        int zone = host.IndexOf('%', StringComparison.Ordinal);
        host = zone < 0 ? host : host.Remove(zone, host.IndexOf(']', StringComparison.Ordinal) - zone);
        return host.EndsWith(defaultPort, StringComparison.Ordinal) ? host[..^defaultPort.Length] : host;
    }

    private async Task<bool> IsInTimeAsync(Task answer, TimeSpan left, CancellationToken stop)
    {
        try
        {
            await answer.WaitAsync(left, _time, stop);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task<CheckResult> AskAsync(CancellationToken cancel)
    {
        try
        {
            using CheckConnection connection = await ConnectAsync(cancel);
            await connection.SendAsync(OriginOf(connection), cancel);
            if (_backend.Tls is { } tls)
            {
                await connection.SecureAsync(tls, _backend.Host, cancel);
            }
            if (_request is null)
            {
                return CheckResult.Passed;
            }
            await connection.SendAsync(_request, cancel);
            return await ReadAnswerAsync(connection, cancel);
        }
        catch (SocketException e)
        {
            return Judge(e);
        }
        catch (CheckSecurityException e)
        {
            return CheckResult.Failed($"tls: {e.Message}");
        }
    }

    /// <summary>The PROXY protocol header of a connection without a client. Version 2 has LOCAL for this purpose.
    /// Version 1 has only UNKNOWN, which some servers reject (gunicorn); so in version 1 Penstock names itself as the
    /// client, which is true and which all servers understand.</summary>
    private byte[] OriginOf(CheckConnection connection)
    {
        if (ProxyProtocolVersion == 0)
        {
            return [];
        }
        byte[] header = new byte[ProxyProtocol.MaxWriteBytes];
        bool local = ProxyProtocolVersion == 2;
        int length = ProxyProtocol.Write(header, ProxyProtocolVersion,
            local ? null : connection.LocalEndPoint, local ? null : connection.RemoteEndPoint);
        return header[..length];
    }

    private async Task<CheckResult> ReadAnswerAsync(CheckConnection connection, CancellationToken cancel)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(MaxBodyBytes);
        try
        {
            var head = new ResponseHead { ToHead = _check.Method is "HEAD" };
            int start = 0;
            int end = 0;
            while (true)
            {
                int count = await connection.ReceiveAsync(buffer.AsMemory(end), cancel);
                if (count == 0)
                {
                    return CheckResult.Failed("connection closed");
                }
                end += count;
                ParseStatus parsed = ParseHead(head, buffer.AsSpan(0, end), ref start);
                if (parsed == ParseStatus.Invalid)
                {
                    return CheckResult.Failed("invalid response");
                }
                if (parsed == ParseStatus.Complete)
                {
                    break;
                }
                buffer.AsSpan(start, end - start).CopyTo(buffer); // there is room: a head is shorter than the buffer
                (start, end) = (0, end - start);
            }
            start += head.Length;
            return !_check.ExpectStatus.Any(range => range.Contains(head.Status))
                ? CheckResult.Failed($"status {head.Status} for {_path}")
                : _expectBody is null ? CheckResult.Passed
                : await FindTextAsync(connection, new BodyReader(head.Framing, head.ContentLength),
                    buffer.AsMemory(0, end), start, cancel);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Parses the response's head and skips interim responses.</summary>
    private static ParseStatus ParseHead(ResponseHead head, ReadOnlySpan<byte> bytes, ref int start)
    {
        while (true)
        {
            ParseStatus parsed = head.Parse(bytes[start..]);
            if (parsed != ParseStatus.Complete || !head.IsInterim || head.Status == 101)
            {
                return parsed;
            }
            start += head.Length;
            head.Reset();
        }
    }

    private async Task<CheckResult> FindTextAsync(CheckConnection connection, BodyReader body,
        ReadOnlyMemory<byte> received, int start, CancellationToken cancel)
    {
        byte[] piece = new byte[16 * 1024];
        byte[] text = new byte[MaxBodyBytes + received.Length + piece.Length]; // the last piece may be too long
        int length = 0;
        received = received[start..];
        while (true)
        {
            length += body.Read(received.Span, text.AsSpan(length), out _);
            if (body.Fault != HttpFault.None)
            {
                return CheckResult.Failed("invalid response");
            }
            if (text.AsSpan(0, Math.Min(length, MaxBodyBytes)).IndexOf(_expectBody) >= 0)
            {
                return CheckResult.Passed;
            }
            if (body.Done || length >= MaxBodyBytes)
            {
                break;
            }
            int count = await connection.ReceiveAsync(piece, cancel);
            if (count == 0)
            {
                if (body.Framing != BodyFraming.UntilClose)
                {
                    return CheckResult.Failed("connection closed");
                }
                break;
            }
            received = piece.AsMemory(0, count);
        }
        return CheckResult.Failed($"the body does not contain '{_check.ExpectBody}'");
    }

    /// <summary>Connects to the address that worked last; if that fails, to the alternate address of the backend's
    /// name.</summary>
    private async Task<CheckConnection> ConnectAsync(CancellationToken cancel)
    {
        (BackendAddress? first, BackendAddress? second) = _backend.AddressesToTry();
        if (first is null)
        {
            throw new SocketException((int)SocketError.HostNotFound);
        }
        try
        {
            return await CheckConnection.OpenAsync(first, cancel);
        }
        catch (SocketException) when (second is not null)
        {
            try
            {
                CheckConnection connection = await CheckConnection.OpenAsync(second, cancel);
                _backend.Connected(second);
                return connection;
            }
            catch (SocketException) when (!cancel.IsCancellationRequested)
            {
                // Report the error of the first address: this machine may not even have IPv6.
            }
            throw;
        }
    }
}
