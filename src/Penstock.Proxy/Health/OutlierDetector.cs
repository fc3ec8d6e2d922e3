using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Ejects backends of one upstream that do worse than the others in live traffic, and lets them return. It
/// follows Envoy's outlier detection, with two differences: windows slide, and errors are compared with the other
/// backends' too, because no backend is at fault when all fail alike. Primaries and backups are separate groups.
/// Thread-safe.</summary>
internal sealed partial class OutlierDetector
{
    /// <summary>An ejection is longer by a random share up to this, so that backends ejected together do not return
    /// together.</summary>
    private const double Jitter = 0.1;

    /// <summary>At most one log line per backend in this time says that it is not ejected.</summary>
    private const long NotEjectedLogIntervalNs = 60_000_000_000;

    private readonly Lock _lock = new();
    private readonly Upstream _upstream;
    private readonly MonotonicClock _clock;
    private readonly ILogger _logger;
    private readonly Dictionary<Backend, OutlierRecord> _records = [];
    private IReadOnlyList<Backend> _backends = [];
    private PassiveHealthConfig? _config;
    private long _slidNs;
    private bool _ignoring;

    public OutlierDetector(Upstream upstream, MonotonicClock clock, ILogger logger)
    {
        (_upstream, _clock, _logger) = (upstream, clock, logger);
        Sync();
    }

    /// <summary>Takes over changes of the upstream's backends and configuration. Backends that stay keep their
    /// records.</summary>
    public void Sync()
    {
        lock (_lock)
        {
            IReadOnlyList<Backend> backends = _upstream.Backends;
            PassiveHealthConfig? config = _upstream.Config.PassiveHealth;
            if (ReferenceEquals(backends, _backends) && config == _config)
            {
                return;
            }
            (_backends, _config) = (backends, config);
            foreach (Backend gone in _records.Keys.Where(b => config is null || !backends.Contains(b)).ToArray())
            {
                Forget(gone);
            }
            foreach (Backend backend in config is null ? [] : backends)
            {
                if (!_records.ContainsKey(backend))
                {
                    var record = new OutlierRecord(backend) { WellSinceNs = _clock.NowNs };
                    record.Restart();
                    _records.Add(backend, record);
                    backend.Traffic.TooManyErrors = (error, status) => OnErrors(record, error, status);
                }
                backend.Traffic.MaxErrorsInRow = config!.ConsecutiveErrors > 0 && !IsAlone(backend)
                    ? config.ConsecutiveErrors : int.MaxValue;
            }
            UpdatePanic();
        }
    }

    /// <summary>Ends ejections whose time is over, and applies the rules when the windows have slid. Called ten times a
    /// second.</summary>
    public void Tick()
    {
        Sync();
        lock (_lock)
        {
            if (_config is not { } config)
            {
                return;
            }
            long now = _clock.NowNs;
            foreach (OutlierRecord record in _records.Values)
            {
                if (record.Backend.Ejection is null)
                {
                    Decay(record, config, now);
                }
                else if (now >= record.EndsNs)
                {
                    End(record, "the ejection time is over");
                }
            }
            if (now - _slidNs >= config.Window.TotalNanoseconds / OutlierRecord.WindowSteps)
            {
                _slidNs = now;
                JudgeWindows(config);
            }
            UpdatePanic();
        }
    }

    /// <summary>Takes note of an active check. An ejection for failed connections or timeouts ends early when
    /// <paramref name="rise"/> checks in a row have passed since.</summary>
    public void OnChecked(Backend backend, bool passed, int rise)
    {
        if (backend.Ejection is null)
        {
            return;
        }
        lock (_lock)
        {
            if (backend.Ejection is null || !_records.TryGetValue(backend, out OutlierRecord? record)
                || !record.EndsByChecks)
            {
                return;
            }
            record.ChecksPassed = passed ? record.ChecksPassed + 1 : 0;
            if (record.ChecksPassed >= rise)
            {
                End(record, $"{rise} of {rise} checks passed");
                UpdatePanic();
            }
        }
    }

    /// <summary>Ends all ejections and forgets all backends.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _records.Keys.ToList().ForEach(Forget);
        }
    }

    private static void Decay(OutlierRecord record, PassiveHealthConfig config, long now)
    {
        if (record.InRow > 0 && now - record.WellSinceNs >= config.EjectionTime.TotalNanoseconds)
        {
            record.InRow--;
            record.WellSinceNs = now;
        }
    }

    private void Forget(Backend backend)
    {
        _records.Remove(backend);
        backend.Traffic.TooManyErrors = null;
        backend.Traffic.MaxErrorsInRow = int.MaxValue;
        backend.Ejection = null;
        backend.EjectionIgnored = false;
    }

    // ---- ejecting

    private void Eject(OutlierRecord record, string cause, bool endsByChecks = false)
    {
        Backend backend = record.Backend;
        backend.Traffic.ForgetErrors();
        if (backend.Ejection is not null || IsAlone(backend))
        {
            return;
        }
        if (WhyNotEject(backend) is { } rejection)
        {
            LogNotEjected(record, cause, rejection);
            return;
        }
        PassiveHealthConfig config = _config!;
        // The count does not grow beyond what the longest ejection needs, or it would take too long to shrink.
        record.InRow = Math.Min(record.InRow + 1,
            Math.Max(1, (int)Math.Ceiling(config.MaxEjectionTime / config.EjectionTime)));
        TimeSpan time = config.EjectionTime * record.InRow;
        time = (time < config.MaxEjectionTime ? time : config.MaxEjectionTime)
            * (1 + (Jitter * Random.Shared.NextDouble()));
        DateTimeOffset since = _clock.Time.GetUtcNow();
        record.EndsNs = _clock.NowNs + (long)time.TotalNanoseconds;
        record.EndsByChecks = endsByChecks;
        record.ChecksPassed = 0;
        record.NotEjectedLoggedNs = null;
        backend.Ejection = new Ejection(cause, since, since + time, record.InRow);
        _logger.LogWarning(Events.BackendEjected,
            "backend {Backend} is EJECTED for {Seconds} s (ejection {Count} in a row): {Cause}; "
            + "{Left} of {All} backends usable",
            backend, Math.Round(time.TotalSeconds, 1), record.InRow, cause,
            _backends.Count(static b => b.IsUsable), _backends.Count);
        UpdatePanic();
    }

    /// <summary>Why the backend may not be ejected; null when it may. An ejection is a guess and must not empty an
    /// upstream. The share is rounded down: 50 % of 3 backends is 1.</summary>
    private string? WhyNotEject(Backend backend)
    {
        int all = 0;
        int ejected = 0;
        int othersUsable = 0;
        foreach (Backend other in Group(backend.Config.Backup))
        {
            all++;
            ejected += other.Ejection is null ? 0 : 1;
            othersUsable += other != backend && other is { IsUsable: true, Ejection: null } ? 1 : 0;
        }
        return othersUsable == 0 ? "no other backend is usable"
            : (ejected + 1L) * 100 > (long)_config!.MaxEjectedPercent * all
                ? $"{ejected} of {all} backends are ejected already, and max_ejected allows no more"
            : null;
    }

    private void LogNotEjected(OutlierRecord record, string cause, string rejection)
    {
        long now = _clock.NowNs;
        if (record.NotEjectedLoggedNs is { } told && now - told < NotEjectedLogIntervalNs)
        {
            return;
        }
        record.NotEjectedLoggedNs = now;
        _logger.LogWarning(Events.BackendNotEjected, 
            "backend {Backend} is not ejected although its results are bad: {Cause}. Reason: {Rejection}",
            record.Backend, cause, rejection);
    }

    private void End(OutlierRecord record, string cause)
    {
        Backend backend = record.Backend;
        TimeSpan time = _clock.Time.GetUtcNow() - backend.Ejection!.Since;
        record.Restart();
        record.WellSinceNs = _clock.NowNs;
        backend.Ejection = null;
        backend.EjectionIgnored = false;
        _logger.LogInformation(Events.BackendReturned,
            "backend {Backend} returns after an ejection of {Seconds} s: {Cause}; {Left} of {All} backends usable",
            backend, Math.Round(time.TotalSeconds, 1), cause, _backends.Count(static b => b.IsUsable),
            _backends.Count);
    }

    /// <summary>When too few backends of a group are left, ejections in it are ignored. An ejection is a guess; it must
    /// not take out the backends that failed checks, which are facts, have left.</summary>
    private void UpdatePanic()
    {
        bool ignoring = false;
        foreach (bool backup in (ReadOnlySpan<bool>)[false, true])
        {
            int all = 0;
            int usable = 0;
            int ejected = 0;
            foreach (Backend backend in Group(backup))
            {
                bool isUp = backend.Health.Health != BackendHealth.Down;
                all++;
                usable += isUp && backend.Ejection is null ? 1 : 0;
                ejected += isUp && backend.Ejection is not null ? 1 : 0;
            }
            bool panics = ejected > 0 && usable * 100L < (long)(_config?.PanicThresholdPercent ?? 0) * all;
            foreach (Backend backend in Group(backup))
            {
                bool ignored = panics && backend.Ejection is not null;
                if (backend.EjectionIgnored != ignored)
                {
                    backend.EjectionIgnored = ignored;
                }
            }
            if (panics && !_ignoring)
            {
                _logger.LogWarning(Events.EjectionsIgnored,
                    "upstream {Upstream}: ejections are ignored, they would leave only {Left} of {All} backends",
                    _upstream.Name, usable, all);
            }
            ignoring |= panics;
        }
        if (_ignoring && !ignoring)
        {
            _logger.LogInformation(Events.EjectionsCount, "upstream {Upstream}: ejections take effect again",
                _upstream.Name);
        }
        _ignoring = ignoring;
    }

    /// <summary>The group has no other backend to compare with, so there is nothing to decide and nothing to warn
    /// of.</summary>
    private bool IsAlone(Backend backend) => _backends.Count(b => b.Config.Backup == backend.Config.Backup) == 1;

    /// <summary>Primaries or backups, without those that the operator set to drain or maintenance.</summary>
    private IEnumerable<Backend> Group(bool backup) =>
        _backends.Where(b => b.Config.Backup == backup && b.State == BackendState.Ready);
}
