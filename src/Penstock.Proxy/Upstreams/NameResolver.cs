using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Upstreams;

/// <summary>Looks up the DNS names of backends every 10 seconds. Each address of a name is a backend. A name that does
/// not resolve is a backend without an address; it never makes a start or reload fail. During an outage of DNS the last
/// addresses are kept. Look-ups are independent, so a DNS server that hangs delays only its own names.</summary>
internal sealed class NameResolver : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _lookUp;
    private readonly Dictionary<(Upstream Upstream, string Host), Watch> _watches = [];
    private readonly List<Task> _ending = [];
    private bool _started;

    /// <param name="lookUp">Returns the addresses of a name; default: the system's resolver.</param>
    public NameResolver(TimeProvider time, ILogger logger,
        Func<string, CancellationToken, Task<IPAddress[]>>? lookUp = null)
    {
        _time = time;
        _logger = logger;
        _lookUp = lookUp ?? LookUpAsync;
    }

    /// <summary>Resolves the names of these upstreams from now on, and looks all of them up at once. Returns when the
    /// new names have been looked up, or after 2 seconds. One caller at a time.</summary>
    public void Apply(IReadOnlyList<Upstream> upstreams)
    {
        HashSet<(Upstream Upstream, string Host)> names = [.. upstreams.SelectMany(static u => u.Config.Backends
            .Where(static b => b.IsName).Select(b => (u, b.Host.ToLowerInvariant())))];
        foreach ((Upstream, string) gone in _watches.Keys.Except(names).ToArray())
        {
            _watches.Remove(gone, out Watch? watch);
            _ending.RemoveAll(static t => t.IsCompleted);
            _ending.Add(watch!.DisposeAsync().AsTask());
        }
        var first = new List<Task>();
        foreach ((Upstream Upstream, string Host) name in names)
        {
            if (_watches.TryGetValue(name, out Watch? known))
            {
                known.LookAgain();
                continue;
            }
            var watch = new Watch(this, name.Upstream, name.Host, _started);
            _watches.Add(name, watch);
            first.Add(watch.First);
        }
        _started = true;
        Task.WaitAll([.. first], FirstWait);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Watch watch in _watches.Values)
        {
            await watch.DisposeAsync();
        }
        await Task.WhenAll(_ending);
    }

    /// <summary>Runs the system's resolver on a thread of its own. It blocks, for half a minute when no DNS server
    /// answers, and would delay everything else on the thread pool.</summary>
    private static Task<IPAddress[]> LookUpAsync(string host, CancellationToken stop) => Task.Factory.StartNew(
        () => Dns.GetHostAddresses(host), stop, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(stop);

    /// <summary>Looks up one name of one upstream, again and again.</summary>
    private sealed class Watch : IAsyncDisposable
    {
        private readonly NameResolver _resolver;
        private readonly Upstream _upstream;
        private readonly string _host;
        private readonly CancellationTokenSource _stop = new();
        private readonly SemaphoreSlim _again = new(0, 1);
        private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _running;
        private string? _said;

        /// <param name="joins">New backends join others that are in use, so they start slowly.</param>
        public Watch(NameResolver resolver, Upstream upstream, string host, bool joins)
        {
            (_resolver, _upstream, _host) = (resolver, upstream, host);
            _running = Task.Run(() => RunAsync(joins));
        }

        /// <summary>Completes after the first look-up.</summary>
        public Task First => _first.Task;

        /// <summary>Looks the name up now instead of at the next interval.</summary>
        public void LookAgain()
        {
            if (_again.CurrentCount == 0)
            {
                _again.Release();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _stop.Dispose();
            _again.Dispose();
        }

        private async Task RunAsync(bool joins)
        {
            try
            {
                Task asked = _again.WaitAsync(_stop.Token);
                while (true)
                {
                    await ResolveAsync(joins);
                    _first.TrySetResult();
                    joins = true;
                    await Task.WhenAny(asked, Task.Delay(Interval, _resolver._time, _stop.Token));
                    _stop.Token.ThrowIfCancellationRequested();
                    asked = asked.IsCompleted ? _again.WaitAsync(_stop.Token) : asked;
                }
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // Stopping.
            }
            catch (Exception bug)
            {
                _resolver._logger.LogError(Events.Bug, bug, 
                    "bug in Penstock: unexpected exception in the look-ups of {Host}; its addresses stay", _host);
            }
            finally
            {
                _first.TrySetResult();
            }
        }

        private async Task ResolveAsync(bool joins)
        {
            string outcome = "no address";
            try
            {
                IPAddress[] addresses = [.. (await _resolver._lookUp(_host, _stop.Token)).Distinct()
                    .OrderBy(static a => a.ToString(), StringComparer.Ordinal)];
                if (addresses.Length > 0)
                {
                    Resolved(addresses, joins);
                    return;
                }
            }
            catch (Exception e) when (e is SocketException or ArgumentException or TaskSchedulerException)
            {
                outcome = e.Message;
            }
            if (!_upstream.IsResolved(_host) && IsNew(outcome))
            {
                _upstream.NotResolved(_host);
                _resolver._logger.LogWarning(Events.BackendUnresolved,
                    "{Host} of upstream {Upstream} cannot be used: its name does not resolve ({Cause})",
                    _host, _upstream.Name, outcome);
            }
        }

        private void Resolved(IPAddress[] addresses, bool joins)
        {
            string outcome = string.Join(", ", addresses.AsEnumerable());
            if (!IsNew(outcome))
            {
                _upstream.ForgetPreferences(_host);
                return;
            }
            bool first = !_upstream.Backends.Any(b => b.Name is not null);
            _upstream.Resolve(_host, addresses, joins && !first);
            _resolver._logger.LogInformation(Events.BackendResolved,
                "{Host} of upstream {Upstream} resolves to {Addresses}", _host, _upstream.Name, outcome);
        }

        /// <summary>Whether the outcome differs from the last one. Each outcome is logged once.</summary>
        private bool IsNew(string outcome)
        {
            bool said = string.Equals(_said, outcome, StringComparison.Ordinal);
            _said = outcome;
            return !said;
        }
    }
}
