using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Asks one backend once whether it is well, on a connection of its own: an HTTP request, or a plain TCP
/// connect.</summary>
internal sealed class HealthProbe : IDisposable
{
    /// <summary>Of a response's body so much is looked at.</summary>
    private const int MaxBodyBytes = 64 * 1024;

    private readonly Backend _backend;
    private readonly HealthCheckConfig _check;
    private readonly TimeProvider _time;
    private readonly SelfDelay _selfDelay;
    private readonly HttpMessageInvoker? _http;
    private readonly Uri? _url;
    private readonly byte[]? _expectBody;

    public HealthProbe(Backend backend, HealthCheckConfig check, TimeProvider time, SelfDelay selfDelay)
    {
        _backend = backend;
        _check = check;
        _time = time;
        _selfDelay = selfDelay;
        if (check.Path is null)
        {
            return;
        }
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.Zero, // a kept connection would hide that new ones are refused
            ActivityHeadersPropagator = null,
            MaxResponseHeadersLength = 32,
            ConnectCallback = async (_, cancel) => new NetworkStream(await ConnectAsync(cancel), ownsSocket: true),
        });
        string host = backend.Config.Port == 0 ? "localhost" : backend.Address;
        _url = new Uri($"http://{host}{check.Path}");
        _expectBody = check.ExpectBody is null ? null : Encoding.UTF8.GetBytes(check.ExpectBody);
    }

    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was asked for.</exception>
    public async Task<CheckResult> RunAsync(CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        TimeSpan lost = _selfDelay.Lost;
        Task<CheckResult> answer = AskAsync(end.Token);
        try
        {
            // The backend is owed its time in time that we were there to listen: what we lost is given back, as long
            // as there is something to give.
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
            return CheckResult.Failed($"no answer in {_check.Timeout.TotalMilliseconds:0} ms");
        }
        finally
        {
            await end.CancelAsync();
            await ((Task)answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => _http?.Dispose();

    /// <summary>What an error of the socket says of the backend, in the words that operators know. That we have no
    /// descriptors, ports or memory left says nothing.</summary>
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
            if (_http is not null)
            {
                return await AskHttpAsync(cancel);
            }
            (await ConnectAsync(cancel)).Dispose();
            return CheckResult.Passed;
        }
        catch (HttpRequestException e)
        {
            return Fault(e, "invalid response");
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return Fault(e, "connection closed");
        }
    }

    private async Task<CheckResult> AskHttpAsync(CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(new HttpMethod(_check.Method), _url);
        request.Headers.TryAddWithoutValidation("User-Agent", "penstock-health-check");
        foreach (CheckField field in _check.Fields)
        {
            request.Headers.Remove(field.Name);
            request.Headers.TryAddWithoutValidation(field.Name, field.Value);
        }
        using HttpResponseMessage response = await _http!.SendAsync(request, cancel);
        int status = (int)response.StatusCode;
        return !_check.ExpectStatus.Any(range => range.Contains(status)) ? CheckResult.Failed($"status {status}")
            : _expectBody is null || await HasTextAsync(response, _expectBody, cancel) ? CheckResult.Passed
            : CheckResult.Failed($"the body does not contain '{_check.ExpectBody}'");
    }

    private static async Task<bool> HasTextAsync(HttpResponseMessage response, byte[] text, CancellationToken cancel)
    {
        await using Stream body = await response.Content.ReadAsStreamAsync(cancel);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(MaxBodyBytes);
        try
        {
            int length = 0;
            while (length < MaxBodyBytes)
            {
                int count = await body.ReadAsync(buffer.AsMemory(length, MaxBodyBytes - length), cancel);
                int from = Math.Max(0, length - text.Length);
                length += count;
                if (buffer.AsSpan(from, length - from).IndexOf(text) >= 0)
                {
                    return true;
                }
                if (count == 0)
                {
                    break;
                }
            }
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static CheckResult Fault(Exception error, string otherwise)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is SocketException socket)
            {
                return Judge(socket);
            }
        }
        return CheckResult.Failed(otherwise);
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancel)
    {
        if (_backend.EndPoint is not { } address)
        {
            throw new SocketException((int)SocketError.HostNotFound);
        }
        EndPoint endPoint = address.EndPoint;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream,
            endPoint is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
