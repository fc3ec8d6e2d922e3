using System.Text.Json;
using Microsoft.Extensions.Logging;
using Penstock.Control.Admin;
using Penstock.Control.Telemetry;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy;

namespace Penstock.Control.Dashboard;

/// <summary>Reads the traffic once a second for its history and its rates. While anybody reads <c>GET /events</c>, it
/// also makes a state of it, which is written as JSON once for all readers. After an event, such as a backend that goes
/// down, it tells a state soon. Thread-safe.</summary>
internal sealed class LiveFeed : IAsyncDisposable
{
    /// <summary>Over how many seconds rates are measured: long enough that they do not jump, and percentiles are of
    /// more than a few requests.</summary>
    private const int RateSeconds = 3;

    /// <summary>How many marks a state has.</summary>
    private const int MarksShown = 30;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>The shortest time between two states, so that a flood of events costs little.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(200);

    private readonly AdminSubjects _subjects;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly VesselReader _vessels;
    private readonly PeriodicTimer _timer;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Queue<TrafficReading> _readings = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private TaskCompletionSource<byte[]> _next = NewNext();
    private int _readers;
    private int _hastened;

    public LiveFeed(AdminSubjects subjects, TimeProvider time, ILogger<LiveFeed> log)
    {
        (_subjects, _time, _log) = (subjects, time, log);
        _vessels = new VesselReader(subjects.Proxy, time);
        _timer = new PeriodicTimer(Interval, time);
        TrafficReading first = subjects.Proxy.ReadTraffic();
        _readings.Enqueue(first);
        History.Add(first, time.GetUtcNow());
        subjects.Marks.Added = Hasten;
        _running = RunAsync();
    }

    public TrafficHistory History { get; } = new();

    /// <summary>How many read it now.</summary>
    public int Readers => Volatile.Read(ref _readers);

    /// <summary>States as JSON in UTF-8: one at once, then each new one. A reader that is slower than the states misses
    /// some and gets the newest. Ends when Penstock stops.</summary>
    public async IAsyncEnumerable<byte[]> ReadAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _stop.Token);
        Interlocked.Increment(ref _readers);
        try
        {
            // The next one is asked for before the state is given out, so that none is missed in between.
            Task<byte[]> next = Volatile.Read(ref _next).Task;
            byte[] state = await NowAsync(either.Token);
            while (true)
            {
                yield return state;
                (state, next) = (await next.WaitAsync(either.Token), Volatile.Read(ref _next).Task);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _readers);
        }
    }

    /// <summary>Ends all readers.</summary>
    public async ValueTask DisposeAsync()
    {
        _subjects.Marks.Added = null;
        await _stop.CancelAsync();
        _timer.Dispose();
        await _running;
    }

    private static TaskCompletionSource<byte[]> NewNext() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task RunAsync()
    {
        while (await _timer.WaitForNextTickAsync())
        {
            await TellAsync(tick: true);
        }
    }

    /// <summary>Tells a state soon, because something has happened.</summary>
    private void Hasten()
    {
        if (Readers > 0 && Interlocked.Exchange(ref _hastened, 1) == 0)
        {
            _ = HastenAsync();
        }
    }

    private async Task HastenAsync()
    {
        // What has happened may take effect only after it was logged.
        await Task.Delay(Shortest, _time);
        Volatile.Write(ref _hastened, 0);
        await TellAsync(tick: false);
    }

    private async Task TellAsync(bool tick)
    {
        await _turn.WaitAsync();
        try
        {
            TrafficReading reading = _subjects.Proxy.ReadTraffic();
            if (tick)
            {
                History.Add(reading, _time.GetUtcNow());
                _readings.Enqueue(reading);
                if (_readings.Count > RateSeconds)
                {
                    _readings.Dequeue();
                }
            }
            if (Readers > 0)
            {
                Interlocked.Exchange(ref _next, NewNext()).TrySetResult(Write(reading));
            }
        }
        catch (Exception e)
        {
            _log.LogError(Events.DashboardBug, e, "bug in Penstock: reading the state for the dashboard failed");
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<byte[]> NowAsync(CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            return Write(_subjects.Proxy.ReadTraffic());
        }
        finally
        {
            _turn.Release();
        }
    }

    private byte[] Write(TrafficReading now)
    {
        DateTimeOffset time = _time.GetUtcNow();
        ProxyServer proxy = _subjects.Proxy;
        return JsonSerializer.SerializeToUtf8Bytes(new LiveState
        {
            Time = time,
            Version = ProductVersion.Short,
            StartedAt = MetricList.StartedAt,
            Stopping = proxy.Stopping,
            Warnings = [.. StatusReport.WarningsOf(_subjects, now.Upstreams, time)],
            Requests = now.Statuses.Values.Sum(),
            Clients = proxy.Limiter.Clients.Count,
            Store = StoreReport.Of(_subjects),
            Configuration = ConfigurationReport.Of(_subjects.Reloader),
            Routes = [.. proxy.Config.Routes.Select(static r => new LiveRoute(r.Name, r.Upstream, r.Host, r.Path))],
            Traffic = TrafficRates.Between(_readings.Peek(), now),
            Lowest = _vessels.Lowest(),
            MostLimited = _vessels.MostLimited(),
            Marks = _subjects.Marks.Since(DateTimeOffset.MinValue, MarksShown),
        }, AdminJson.Types.LiveState);
    }
}
