using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>What <see cref="OutlierDetector"/> knows of one backend. Not thread-safe: the detector's lock guards it.
/// </summary>
internal sealed class OutlierRecord(Backend backend)
{
    /// <summary>A window slides by so many steps.</summary>
    public const int WindowSteps = 10;

    private readonly Queue<TrafficCounts> _steps = new();

    public Backend Backend => backend;

    /// <summary>Ejections in a row; one less for each ejection time that the backend has been well.</summary>
    public int InRow { get; set; }

    /// <summary>Of the ejection under way, on the monotonic clock.</summary>
    public long EndsNs { get; set; }

    /// <summary>Active checks may end it: what it was ejected for is something that they would notice, too.</summary>
    public bool EndsByChecks { get; set; }

    /// <summary>Active checks passed in a row since it was ejected.</summary>
    public int ChecksPassed { get; set; }

    /// <summary>Since when it is not ejected, less the time that <see cref="InRow"/> was lowered for.</summary>
    public long WellSinceNs { get; set; }

    /// <summary>When it was last told that it cannot be ejected; null before the first time.</summary>
    public long? NotEjectedLoggedNs { get; set; }

    /// <summary>Counts of the window that ends now.</summary>
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

    /// <summary>Begins a new window: what was before says nothing of the backend as it is now.</summary>
    public void Restart()
    {
        _steps.Clear();
        Slide();
        backend.Traffic.ForgetErrors();
    }
}
