using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Asks one backend once whether it is well, on a connection of its own: HTTP (any 2xx or 3xx) or a plain TCP
/// connect.</summary>
internal sealed class HealthProbe : IDisposable
{
    private readonly Backend _backend;
    private readonly HealthCheckConfig _check;
    private readonly TimeProvider _time;
    private readonly HttpClient? _http;

    public HealthProbe(Backend backend, HealthCheckConfig check, TimeProvider time)
    {
        _backend = backend;
        _check = check;
        _time = time;
        if (check.Path is null)
        {
            return;
        }
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.Zero, // a kept connection would hide that new ones are refused
            ActivityHeadersPropagator = null,
            MaxResponseHeadersLength = 32,
            ConnectCallback = async (_, cancel) => new NetworkStream(await ConnectAsync(cancel), ownsSocket: true),
        }) { Timeout = Timeout.InfiniteTimeSpan };
        string host = backend.Config.Port == 0 ? "localhost" : backend.Address;
        _http.BaseAddress = new Uri($"http://{host}");
    }

    /// <returns>Null when well, else the cause in words.</returns>
    public async Task<string?> RunAsync(CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(_check.Timeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, timeout.Token);
        try
        {
            if (_http is null)
            {
                (await ConnectAsync(both.Token)).Dispose();
                return null;
            }
            using HttpResponseMessage response = await _http.GetAsync(
                _check.Path, HttpCompletionOption.ResponseHeadersRead, both.Token);
            return (int)response.StatusCode is >= 200 and < 400 ? null : $"status {(int)response.StatusCode}";
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            return $"no answer in {_check.Timeout.TotalMilliseconds:0} ms";
        }
        catch (HttpRequestException e)
        {
            return Cause(e.InnerException as SocketException) ?? "invalid response";
        }
        catch (SocketException e)
        {
            return Cause(e);
        }
        catch (IOException e)
        {
            return Cause(e.InnerException as SocketException) ?? "connection closed";
        }
    }

    public void Dispose() => _http?.Dispose();

    /// <summary>A socket error in the words that operators know.</summary>
    internal static string? Cause(SocketException? error) => error?.SocketErrorCode switch
    {
        null => null,
        SocketError.ConnectionRefused => "connection refused",
        SocketError.ConnectionReset => "connection reset",
        SocketError.TimedOut => "connect timeout",
        SocketError.HostNotFound => "name does not resolve",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "host unreachable",
        _ => error.Message,
    };

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
