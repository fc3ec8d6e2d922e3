using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Simulation;

/// <summary>Replays an access log against a limit, with the times of the log. Reads a log of any length; its memory
/// grows only with the number of clients, unless the requests are recorded. Not thread-safe.</summary>
internal sealed class LimitSimulation(LimitConfig config, LogLineParser parser)
{
    /// <summary>How many lines are kept to sort requests by their begin, because the log has them by their end.
    /// </summary>
    private const int Reordered = 32 * 1024;
    private const int MaxFaults = 20;
    private const int WorstMoments = 5;
    private const int Candidates = 48;
    private const long MaxCapacity = 1_000_000_000;
    private const int ReadBytes = 256 * 1024;

    private readonly VirtualLimit _limit = new(config);
    private readonly Dictionary<string, SimulatedClient> _clients = [];
    private readonly PriorityQueue<(SimulatedClient Client, bool Rejected), (long Ns, long Line)> _waiting = new();
    private readonly List<(long Second, long Rejected)> _worst = [];
    private readonly List<(long Line, string Fault, bool Keyless)> _faults = [];
    private LineReader _lines = new();
    private Action<SimulatedClient, long>? _again;
    private char[] _name = new char[512];
    private long _startNs = long.MinValue;
    private long _lastNs;
    private long _second = long.MinValue;
    private long _inSecond;
    private string? _keyFault;
    private bool _keyed;

    public LimitConfig Limit => config;
    public long Requests { get; private set; }
    public long Rejected { get; private set; }

    /// <summary>How many requests were rejected according to the log.</summary>
    public long RejectedInLog { get; private set; }

    /// <summary>How many requests the limit decides in the same way as in the log.</summary>
    public long Agreed { get; private set; }

    /// <summary>Requests to which no limit applied.</summary>
    public long Undecided { get; private set; }
    public long BadLines { get; private set; }
    public long FirstUnixNs { get; private set; } = long.MaxValue;
    public long LastUnixNs { get; private set; } = long.MinValue;

    /// <summary>Lines that are events of Penstock.</summary>
    public long Events { get; private set; }

    /// <summary>Set if lines could be read except that none has what names the client: what to write as key.
    /// </summary>
    public string? KeyFault => _keyed ? null : _keyFault;

    /// <summary>The first bad lines; without those of <see cref="KeyFault"/>.</summary>
    public IReadOnlyList<(long Line, string Fault)> Faults => [.. _faults
        .Where(bad => !bad.Keyless || KeyFault is null).Select(static bad => (bad.Line, bad.Fault))];
    public IReadOnlyCollection<SimulatedClient> Clients => _clients.Values;

    /// <summary>The seconds (since 1970) with the most rejections, the worst first.</summary>
    public IEnumerable<(long Second, long Rejected)> Worst =>
        _worst.OrderByDescending(w => w.Rejected).ThenBy(w => w.Second).Take(WorstMoments);

    /// <summary>Gets every request that is decided; null: nothing does.</summary>
    public RecordedRequests? Recorded { get; init; }

    /// <summary>The largest capacity that a limit with this rate may have.</summary>
    /// <param name="ratePerSecond">An allowed rate, in tokens per second.</param>
    public static long LargestCapacity(double ratePerSecond)
    {
        (long allowed, long tooLarge) = (1, MaxCapacity + 1);
        while (tooLarge - allowed > 1)
        {
            long middle = allowed + ((tooLarge - allowed) / 2);
            (allowed, tooLarge) =
                Limiter.Fault(middle, ratePerSecond) is null ? (middle, tooLarge) : (allowed, middle);
        }
        return allowed;
    }

    /// <summary>Replays the log. Call it only once, or <see cref="Add"/> and <see cref="End"/> instead.</summary>
    public void Run(Stream log)
    {
        byte[] buffer = new byte[ReadBytes];
        for (int count; (count = log.Read(buffer, 0, buffer.Length)) > 0;)
        {
            Add(buffer.AsSpan(0, count));
        }

        End();
    }

    /// <summary>Replays the next bytes of the log, a piece of any length.</summary>
    public void Add(ReadOnlySpan<byte> piece)
    {
        _lines.Add(piece);
        ReadLines();
    }

    /// <summary>Ends the replay, after the last piece of the log.</summary>
    public void End()
    {
        _lines.End();
        ReadLines();
        while (_waiting.Count > 0)
        {
            DecideNext();
        }

        EndSecond();
    }

    /// <summary>Finds the smallest capacity, at the same rate, that rejects at most this share of all requests, by
    /// replaying the log for many capacities at once. Call it after <see cref="Run"/>.</summary>
    /// <param name="open">Opens the log at its beginning.</param>
    /// <returns>Null if no allowed capacity does.</returns>
    public long? SmallestCapacity(double share, Func<Stream> open)
    {
        long most = Math.Min(_clients.Values.Max(static client => client.CapacityForNone) + 1,
            LargestCapacity(config.RatePerSecond));
        (long tooLow, long enough) = (0L, most);
        for (bool first = true; first || enough - tooLow > 1; first = false)
        {
            long[] tried = Between(tooLow, enough);
            long[] rejected = Try(tried, open);
            int found = Array.FindIndex(rejected, count => count <= share * Requests);
            if (found < 0)
            {
                return null;
            }

            (tooLow, enough) = (found == 0 ? tooLow : tried[found - 1], tried[found]);
        }
        return enough;
    }

    /// <summary>Capacities above the first and up to the second, in a geometric series.</summary>
    private static long[] Between(long tooLow, long enough) =>
        [.. Enumerable.Range(1, Candidates).Select(i => tooLow + Math.Max(1, (long)Math.Round(
            Math.Pow(enough - tooLow, (double)i / Candidates)))).Append(enough).Distinct().Order()];

    private long[] Try(long[] capacities, Func<Stream> open)
    {
        VirtualLimit[] limits = [.. capacities.Select(c => new VirtualLimit(new(c, config.RatePerSecond)))];
        long[] rejected = new long[limits.Length];
        foreach (SimulatedClient client in _clients.Values)
        {
            client.Candidates = new long[limits.Length];
        }

        _again = (client, ns) =>
        {
            for (int i = 0; i < limits.Length; i++)
            {
                rejected[i] += limits[i].TryTake(ref client.Candidates[i], ns) ? 0 : 1;
            }
        };
        (_lines, _lastNs) = (new(), long.MinValue);
        using Stream log = open();
        Run(log);
        return rejected;
    }

    private void ReadLines()
    {
        bool first = _again is null;
        while (_lines.TryRead(out ReadOnlySpan<byte> text))
        {
            if (text.IsEmpty && !_lines.TooLong)
            {
                continue;
            }

            LogLine line = default;
            string? fault =
                _lines.TooLong ? $"is longer than {LineReader.MaxLineBytes} bytes" : parser.Parse(text, out line);
            if (fault is not null || line.Undecided || line.Event)
            {
                if (first)
                {
                    _keyFault ??= line.Keyless ? parser.KeyFault(text, _lines.Number, line) : null;
                    Skip(_lines.Number, fault, line);
                }

                continue;
            }
            _keyed = true;
            if (ClientOf(line.Key, first) is not { } client)
            {
                continue; // the log has grown since the first run
            }

            _waiting.Enqueue((client, line.Rejected), (line.UnixNs, _lines.Number));
            if (_waiting.Count > Reordered)
            {
                DecideNext();
            }
        }
    }

    private void Skip(long number, string? fault, in LogLine line)
    {
        if (fault is null)
        {
            _keyed |= line.Undecided;
            (Events, Undecided) = (Events + (line.Event ? 1 : 0), Undecided + (line.Event ? 0 : 1));
            return;
        }
        BadLines++;
        if (_faults.Count < MaxFaults)
        {
            _faults.Add((number, fault, line.Keyless));
        }
    }

    private void DecideNext()
    {
        _waiting.TryDequeue(out (SimulatedClient Client, bool Rejected) request, out (long Ns, long Line) at);
        // A request that began before the sorted lines counts at the current time of the replay.
        _lastNs = Math.Max(_lastNs, at.Ns);
        if (_startNs == long.MinValue)
        {
            _startNs = _lastNs;
        }

        long ns = Math.Max(0, _lastNs - _startNs);
        if (_again is null)
        {
            Decide(request.Client, ns, request.Rejected);
        }
        else
        {
            _again(request.Client, ns);
        }
    }

    private void Decide(SimulatedClient client, long ns, bool rejectedInLog)
    {
        bool admitted = _limit.TryTake(ref client.Bucket, ns);
        client.Requests++;
        client.Take(ns, config.RatePerSecond);
        Requests++;
        RejectedInLog += rejectedInLog ? 1 : 0;
        Agreed += admitted == !rejectedInLog ? 1 : 0;
        (FirstUnixNs, LastUnixNs) = (Math.Min(FirstUnixNs, _startNs), _lastNs);
        long second = (long)Math.Floor(_lastNs / 1e9);
        Recorded?.Add(client.Number, ns, second);
        if (admitted)
        {
            return;
        }

        Rejected++;
        client.CountRejected(second);
        if (second != _second)
        {
            EndSecond();
        }

        (_second, _inSecond) = (second, _inSecond + 1);
    }

    private void EndSecond()
    {
        if (_inSecond > 0)
        {
            _worst.Add((_second, _inSecond));
            if (_worst.Count > WorstMoments * 16)
            {
                var kept = Worst.ToList();
                _worst.Clear();
                _worst.AddRange(kept);
            }
        }
        _inSecond = 0;
    }

    private SimulatedClient? ClientOf(ReadOnlySpan<byte> key, bool create)
    {
        if (_name.Length < key.Length)
        {
            _name = new char[key.Length];
        }

        Span<char> name = _name.AsSpan(0, Encoding.UTF8.GetChars(key, _name));
        Dictionary<string, SimulatedClient>.AlternateLookup<ReadOnlySpan<char>> byName =
            _clients.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!byName.TryGetValue(name, out SimulatedClient? client) && create)
        {
            _clients.Add(name.ToString(), client = new(name.ToString(), _clients.Count));
        }

        return client;
    }
}
