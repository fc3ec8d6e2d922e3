using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Exchanges;

/// <summary>Which requests get a line in the access log, compiled: <c>access_log.only</c> and
/// <c>access_log.sample</c>. Immutable, thread-safe; each loop has its own counts.</summary>
internal sealed class AccessFilter
{
    /// <summary>Statuses have three digits.</summary>
    private const int StatusCount = 1000;

    private const int NoSample = -1;

    private readonly bool _selectsAll;
    private readonly bool[] _selected = new bool[StatusCount];
    private readonly int[] _sampleOf = new int[StatusCount];
    private readonly int[] _oneOf;
    private readonly long _minNs;

    public AccessFilter(AccessLogConfig config)
    {
        bool any = config.Statuses.Count == 0 && config.MinDuration == TimeSpan.Zero;
        _selectsAll = any && config.Samples.Count == 0;
        _minNs = config.MinDuration == TimeSpan.Zero ? long.MaxValue : (long)config.MinDuration.TotalNanoseconds;
        for (int status = 0; status < StatusCount; status++)
        {
            int asked = AccessEntry.Selected(status);
            _selected[status] = any || config.Statuses.Any(range => range.Contains(asked));
            _sampleOf[status] = NarrowestOf(config.Samples, asked);
        }
        _oneOf = [.. config.Samples.Select(static sample => sample.OneOf)];
    }

    /// <summary>New counts for a loop.</summary>
    public int[] NewCounts() => new int[_oneOf.Length];

    /// <summary>Decides about a request that has ended, before anything of its line is made.</summary>
    /// <param name="counts">Those of the loop. Of each sample the first request gets a line.</param>
    /// <returns>How many requests the line stands for; 0: no line.</returns>
    public int Select(int status, long durationNs, int[] counts)
    {
        if (_selectsAll)
        {
            return 1;
        }
        if (!_selected[status] && durationNs < _minNs)
        {
            return 0;
        }
        int sample = _sampleOf[status];
        if (sample == NoSample)
        {
            return 1;
        }
        int oneOf = _oneOf[sample];
        int before = counts[sample];
        counts[sample] = before + 1 == oneOf ? 0 : before + 1;
        return before == 0 ? oneOf : 0;
    }

    private static int NarrowestOf(ValueList<SampleConfig> samples, int status)
    {
        int narrowest = NoSample;
        for (int i = 0; i < samples.Count; i++)
        {
            StatusRange range = samples[i].Statuses;
            if (range.Contains(status)
                && (narrowest == NoSample || range.To - range.From < samples[narrowest].Statuses.To
                    - samples[narrowest].Statuses.From))
            {
                narrowest = i;
            }
        }
        return narrowest;
    }
}
