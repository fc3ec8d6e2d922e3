using System.ComponentModel;
using Penstock.Proxy;

namespace Penstock.Control.Dashboard;

[Description("Traffic of the past, in steps. Times and values of all lists belong together by their index; a value is "
    + "null where there was none.")]
internal sealed record HistoryView
{
    [Description("`15m` or `24h`.")]
    public required string Window { get; init; }

    [Description("Seconds that each value stands for.")]
    public required int StepSeconds { get; init; }

    [Description("The ends of the steps.")]
    public required IReadOnlyList<DateTimeOffset> Times { get; init; }

    [Description("All requests.")]
    public required HistoryLines All { get; init; }

    [Description("Requests per second by class of status.")]
    public required IReadOnlyDictionary<string, IReadOnlyList<double>> ByStatus { get; init; }

    public required IReadOnlyList<HistorySeries> Series { get; init; }

    [Description("What happened in this time.")]
    public required IReadOnlyList<Mark> Marks { get; init; }
}

[Description("An upstream, or one backend of it.")]
internal sealed record HistorySeries(
    string Upstream, [property: Description("Null: all of the upstream.")] string? Backend, HistoryLines Lines);

internal sealed record HistoryLines(
    IReadOnlyList<double?> RequestsPerSec, IReadOnlyList<double?> FailedPerSec, IReadOnlyList<double?> RejectedPerSec,
    IReadOnlyList<double?> P50Ms, IReadOnlyList<double?> P99Ms);

/// <summary>Keeps the traffic of the last 15 minutes in steps of 5 seconds and of the last 24 hours in steps of 5
/// minutes, in memory. Bounded: <see cref="MaxSeries"/> upstreams and backends. Thread-safe.</summary>
internal sealed class TrafficHistory
{
    /// <summary>So many upstreams and backends have lines of their own; more are only in the sums.</summary>
    public const int MaxSeries = 256;

    private readonly Lock _lock = new();
    private readonly Ring[] _rings =
    [
        new("15m", TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(15)),
        new("24h", TimeSpan.FromMinutes(5), TimeSpan.FromHours(24)),
    ];

    /// <summary>Adds a reading, which ends a step where one is over.</summary>
    public void Add(TrafficReading reading, DateTimeOffset now)
    {
        lock (_lock)
        {
            foreach (Ring ring in _rings)
            {
                ring.Add(reading, now);
            }
        }
    }

    /// <returns>Null: there is no such window.</returns>
    public HistoryView? Read(string window, Marks marks)
    {
        lock (_lock)
        {
            return Array.Find(_rings, ring => ring.Window == window)?.Read(marks);
        }
    }

    private sealed record Step(DateTimeOffset Time, Rates All, double[] ByStatus,
        Dictionary<(string Upstream, string? Backend), Rates> Series);

    private sealed class Ring(string window, TimeSpan step, TimeSpan length)
    {
        private readonly int _maxSteps = (int)(length / step);
        private readonly Queue<Step> _steps = new();
        private TrafficReading? _before;
        private DateTimeOffset _end;

        public string Window => window;

        public void Add(TrafficReading reading, DateTimeOffset now)
        {
            if (_before is null)
            {
                (_before, _end) = (reading, now + step);
            }
            if (now < _end)
            {
                return;
            }
            TrafficRates rates = TrafficRates.Between(_before, reading);
            _steps.Enqueue(new Step(now, rates.All, [.. TrafficRates.Classes.Select(name => rates.ByStatus[name])],
                SeriesOf(rates).Take(MaxSeries).ToDictionary(static one => one.Key, static one => one.Value)));
            if (_steps.Count > _maxSteps)
            {
                _steps.Dequeue();
            }

            // After the process was stopped for a while, the next step begins now.
            (_before, _end) = (reading, _end + step > now ? _end + step : now + step);
        }

        private static IEnumerable<KeyValuePair<(string, string?), Rates>> SeriesOf(TrafficRates rates) =>
            rates.Upstreams.Select(static u => KeyValuePair.Create((u.Name, (string?)null), u.Rates))
                .Concat(rates.Upstreams.SelectMany(static u => u.Backends.Select(
                    b => KeyValuePair.Create((u.Name, (string?)b.Status.Address), b.Rates))));

        public HistoryView Read(Marks marks) => new()
        {
            Window = window,
            StepSeconds = (int)step.TotalSeconds,
            Times = [.. _steps.Select(static s => s.Time)],
            All = Lines(static s => s.All),
            ByStatus = TrafficRates.Classes.Select((name, i) =>
                    KeyValuePair.Create(name, (IReadOnlyList<double>)[.. _steps.Select(s => s.ByStatus[i])]))
                .ToDictionary(),
            Series = [.. _steps.SelectMany(static s => s.Series.Keys).Distinct()
                .Select(key => new HistorySeries(key.Upstream, key.Backend,
                    Lines(s => s.Series.GetValueOrDefault(key))))],
            Marks = marks.Since(_steps.TryPeek(out Step? first) ? first.Time - step : DateTimeOffset.MinValue),
        };

        private HistoryLines Lines(Func<Step, Rates?> of)
        {
            Rates?[] rates = [.. _steps.Select(of)];
            return new([.. rates.Select(static r => r?.RequestsPerSec)], [.. rates.Select(static r => r?.FailedPerSec)],
                [.. rates.Select(static r => r?.RejectedPerSec)], [.. rates.Select(static r => r?.P50Ms)],
                [.. rates.Select(static r => r?.P99Ms)]);
        }
    }
}
