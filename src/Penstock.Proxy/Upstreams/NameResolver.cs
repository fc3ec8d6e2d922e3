using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Upstreams;

/// <summary>Looks the DNS names of backends up, again and again; each address of a name is a backend. A name that does
/// not resolve is a backend that cannot be connected to, never a failed start or reload; once known, the last good
/// addresses are kept through an outage of DNS. Of a name with both, the IPv4 addresses count.</summary>
internal sealed class NameResolver : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _lookUp;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<(Upstream Upstream, string Host), string> _said = [];
    private readonly Lock _saying = new();
    private volatile IReadOnlyList<Upstream> _upstreams = [];
    private Task _running = Task.CompletedTask;
    private bool _started;

    /// <param name="lookUp">Addresses of a name; the system's resolver by default.</param>
    public NameResolver(TimeProvider time, ILogger logger,
        Func<string, CancellationToken, Task<IPAddress[]>>? lookUp = null)
    {
        _time = time;
        _logger = logger;
        _lookUp = lookUp ?? Dns.GetHostAddressesAsync;
    }

    /// <summary>Looks after these upstreams from now on. Returns when the first round is through, or has taken too long
    /// to wait for.</summary>
    public void Apply(IReadOnlyList<Upstream> upstreams)
    {
        _upstreams = upstreams;
        Task first = ResolveAllAsync(joins: _started);
        first.Wait(FirstWait);
        if (!_started)
        {
            _started = true;
            _running = RunAsync(first);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(Task first)
    {
        await first;
        using var timer = new PeriodicTimer(Interval, _time);
        while (await timer.WaitForNextTickAsync(_stop.Token))
        {
            await ResolveAllAsync(joins: true);
        }
    }

    private Task ResolveAllAsync(bool joins) => Task.WhenAll(_upstreams.SelectMany(u => u.Config.Backends
        .Where(static b => b.IsName).Select(static b => b.Host).Distinct(StringComparer.OrdinalIgnoreCase)
        .Select(host => ResolveAsync(u, host, joins))));

    private async Task ResolveAsync(Upstream upstream, string host, bool joins)
    {
        string outcome;
        bool resolved = false;
        try
        {
            IPAddress[] all = await _lookUp(host, _stop.Token);
            IPAddress[] old = [.. all.Where(static a => a.AddressFamily == AddressFamily.InterNetwork)];
            IPAddress[] addresses = [.. (old.Length > 0 ? old : all).Distinct()
                .OrderBy(static a => a.ToString(), StringComparer.Ordinal)];
            resolved = addresses.Length > 0;
            outcome = resolved ? string.Join(", ", addresses.AsEnumerable()) : "no address";
            if (resolved && IsNew(upstream, host, outcome))
            {
                bool first = !upstream.Backends.Any(b => b.Name is not null);
                upstream.Resolve(host, addresses, joins && !first);
                _logger.LogInformation(Events.BackendResolved, "{Host} of upstream {Upstream} resolves to {Addresses}",
                    host, upstream.Name, outcome);
                return;
            }
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            outcome = e.Message;
        }
        if (!resolved && !upstream.IsResolved(host) && IsNew(upstream, host, outcome))
        {
            upstream.NotResolved(host);
            _logger.LogWarning(Events.BackendUnresolved,
                "{Host} of upstream {Upstream} cannot be used: its name does not resolve ({Cause})",
                host, upstream.Name, outcome);
        }
    }

    /// <summary>Is that another outcome than last time? Said once.</summary>
    private bool IsNew(Upstream upstream, string host, string outcome)
    {
        lock (_saying)
        {
            bool said = _said.TryGetValue((upstream, host), out string? last)
                && string.Equals(last, outcome, StringComparison.Ordinal);
            _said[(upstream, host)] = outcome;
            return !said;
        }
    }
}
