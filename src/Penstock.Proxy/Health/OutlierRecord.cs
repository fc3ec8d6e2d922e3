using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>What <see cref="OutlierDetector"/> knows about one backend. Not thread-safe: the detector's lock guards
/// it.</summary>
internal sealed class OutlierRecord(Backend backend)
{
    /// <summary>A window slides in this many steps.</summary>
    public const int WindowSteps = 10;

    private readonly Queue<TrafficCounts> _steps = new();

    public Backend Backend => backend;

    /// <summary>Ejections in a row; one less for each ejection time during which the backend was not ejected.</summary>
    public int InRow { get; set; }

    /// <summary>When the present ejection ends, in nanoseconds of the monotonic clock.</summary>
    public long EndsNs { get; set; }

    /// <summary>Active checks may end the ejection early, because they would notice its cause too.</summary>
    public bool EndsByChecks { get; set; }

    /// <summary>Active checks passed in a row since it was ejected.</summary>
    public int ChecksPassed { get; set; }

    /// <summary>Start of the time during which the backend is not ejected, moved forward each time <see cref="InRow"/>
    /// is lowered.</summary>
    public long WellSinceNs { get; set; }

    /// <summary>When the log last said that the backend is not ejected; null: never.</summary>
    public long? NotEjectedLoggedNs { get; set; }

    /// <summary>Counts of requests in the window that ends now.</summary>
    public TrafficCounts Window()
    {
        TrafficCounts now = backend.Traffic.Read();
        return now.Since(_steps.TryPeek(out TrafficCounts? oldest) ? oldest : now);
    }

    public void Slide()
    {
        if (_steps.Count == WindowSteps)
        {
            _steps.Dequeue();
        }
        _steps.Enqueue(backend.Traffic.Read());
    }

    /// <summary>Begins a new window, because earlier results say nothing about the backend's present state.</summary>
    public void Restart()
    {
        _steps.Clear();
        Slide();
        backend.Traffic.ForgetErrors();
    }
}
