namespace Penstock.Control.Simulation;

/// <summary>One client of a replay. Not thread-safe.</summary>
/// <param name="number">Counted from 0, in the order of the log.</param>
internal sealed class SimulatedClient(string name, int number)
{
    private long _second = long.MinValue;
    private long _inSecond;
    private double _taken;
    private long _atNs;

    /// <summary>The state of its bucket.</summary>
    public long Bucket;

    public string Name => name;
    public int Number => number;
    public long Requests { get; set; }
    public long Rejected { get; private set; }

    /// <summary>The second (since 1970) with the most rejections.</summary>
    public long WorstSecond { get; private set; }
    public long WorstRejected { get; private set; }

    /// <summary>How many tokens it would have been short of a full bucket at most, with a bucket that never rejects.
    /// </summary>
    public double MaxTaken { get; private set; }

    /// <summary>The smallest capacity that would have rejected none of its requests.</summary>
    public long CapacityForNone => (long)Math.Ceiling(MaxTaken - 1e-6);

    /// <summary>The states of its buckets, one for each capacity that is tried.</summary>
    public long[] Candidates { get; set; } = [];

    public void CountRejected(long second)
    {
        Rejected++;
        _inSecond = second == _second ? _inSecond + 1 : 1;
        _second = second;
        if (_inSecond > WorstRejected)
        {
            (WorstSecond, WorstRejected) = (second, _inSecond);
        }
    }

    public void Take(long ns, double perSecond)
    {
        _taken = Math.Max(0, _taken - ((ns - _atNs) / 1e9 * perSecond)) + 1;
        _atNs = ns;
        MaxTaken = Math.Max(MaxTaken, _taken);
    }
}
