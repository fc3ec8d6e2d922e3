using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Upstreams;

/// <summary>Looks the DNS names of backends up, again and again. A name that does not resolve is a backend that cannot
/// be connected to, never a failed start; once known, the last good address is kept through an outage of DNS.</summary>
internal sealed class NameResolver : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    public NameResolver(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
    }

    /// <summary>Starts; returns when the first round is through, or has taken too long to wait for.</summary>
    public void Start(IEnumerable<Backend> backends)
    {
        Backend[] names = [.. backends.Where(static b => b.IsName)];
        if (names.Length > 0)
        {
            Task first = Task.WhenAll(names.Select(ResolveAsync));
            first.Wait(FirstWait);
            _running = RunAsync(names, first);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(Backend[] names, Task first)
    {
        await first;
        using var timer = new PeriodicTimer(Interval, _time);
        while (await timer.WaitForNextTickAsync(_stop.Token))
        {
            await Task.WhenAll(names.Select(ResolveAsync));
        }
    }

    private async Task ResolveAsync(Backend backend)
    {
        try
        {
            IPAddress[] addresses = await Dns.GetHostAddressesAsync(backend.Config.Host, _stop.Token);
            IPEndPoint[] known = [.. addresses.Select(a => new IPEndPoint(a, backend.Config.Port))];
            EndPoint? current = backend.EndPoint?.EndPoint;
            if (known.Length > 0 && !known.Contains(current))
            {
                backend.EndPoint = new BackendAddress(known[0]);
                _logger.LogInformation(Events.BackendResolved,
                    "backend {Backend} resolves to {Address}", backend, known[0].Address);
            }
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            if (backend.EndPoint is null && backend.Health.Cause is null)
            {
                backend.Health = backend.Health with { Cause = "name does not resolve" };
                _logger.LogWarning(Events.BackendUnresolved,
                    "backend {Backend} cannot be used: its name does not resolve ({Cause})", backend, e.Message);
            }
        }
    }
}
