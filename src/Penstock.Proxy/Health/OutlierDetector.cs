using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Ejects those backends of one upstream that live traffic shows to be worse than the others, and lets them
/// back. (Envoy's outlier detection, with windows that slide, and comparing with the others for errors, too: where
/// all fail alike, none is at fault.) Primaries and backups are groups of their own. Thread-safe.</summary>
internal sealed partial class OutlierDetector
{
    /// <summary>An ejection is longer by up to this share: those ejected together do not return as one.</summary>
    private const double Jitter = 0.1;

    /// <summary>That a backend cannot be ejected is told once in so long.</summary>
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

    /// <summary>Looks whether the upstream's backends or settings have changed. What is known of backends that stay is
    /// kept.</summary>
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

    /// <summary>Ends what is over, and looks at the windows when they have slid. Called some times a second.</summary>
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
                    End(record, "its time is over");
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

    /// <summary>An active check was made. When as many as bring a backend up have passed since it was ejected for being
    /// out of reach, it may come back early.</summary>
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

    /// <summary>Lets go of all backends.</summary>
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
        // It does not grow beyond what the longest ejection needs, or it would take for ever to shrink.
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
            "backend {Backend} is EJECTED for {Seconds} s: {Cause} ({Count}. time in a row), "
            + "{Left} of {All} backends left",
            backend, Math.Round(time.TotalSeconds, 1), cause, record.InRow,
            _backends.Count(static b => b.IsUsable), _backends.Count);
        UpdatePanic();
    }

    /// <summary>Guesses must not empty an upstream. Whole numbers: 50 % of 3 is 1.</summary>
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
        return othersUsable == 0 ? "no other backend is left"
            : (ejected + 1L) * 100 > (long)_config!.MaxEjectedPercent * all
                ? $"{ejected} of {all} are ejected already, more may not be"
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
        _logger.LogWarning(Events.BackendNotEjected, "backend {Backend} does badly but is kept: {Cause}; {Rejection}",
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
            "backend {Backend} is back after an ejection of {Seconds} s: {Cause}, {Left} of {All} backends in use",
            backend, Math.Round(time.TotalSeconds, 1), cause, _backends.Count(static b => b.IsUsable),
            _backends.Count);
    }

    /// <summary>When too few are left of a group and some of the others are only ejected, those are used all the same:
    /// a guess must not bring down what failed checks, which are facts, have left.</summary>
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
                    "upstream {Upstream}: ejections are ignored, they would leave {Left} of {All} backends",
                    _upstream.Name, usable, all);
            }
            ignoring |= panics;
        }
        if (_ignoring && !ignoring)
        {
            _logger.LogInformation(Events.EjectionsCount, "upstream {Upstream}: ejections count again",
                _upstream.Name);
        }
        _ignoring = ignoring;
    }

    /// <summary>It has no others to be compared with: nothing to decide, and nothing to warn of.</summary>
    private bool IsAlone(Backend backend) => _backends.Count(b => b.Config.Backup == backend.Config.Backup) == 1;

    /// <summary>Primaries or backups, without those that the operator took out himself.</summary>
    private IEnumerable<Backend> Group(bool backup) =>
        _backends.Where(b => b.Config.Backup == backup && b.State == BackendState.Ready);
}
