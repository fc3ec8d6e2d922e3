using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>One client that sends to several nodes as fast as they answer, and counts. If a node does not answer, it
/// uses the next one. Thread-safe.</summary>
internal sealed class Hammer : IDisposable
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _workers = [];
    private readonly ConcurrentDictionary<int, int> _statuses = new();
    private long _firstAnswerTicks = long.MaxValue;
    private long _lastSentTicks;
    private long _lastAnswerTicks;

    private Hammer()
    {
    }

    public int Admitted => _statuses.GetValueOrDefault(200);

    /// <summary>Requests that a node did not accept or did not answer.</summary>
    public int Failed => _statuses.GetValueOrDefault(-1);

    public double Seconds => _watch.Elapsed.TotalSeconds;

    public IReadOnlyDictionary<int, int> Statuses => _statuses;

    public static Hammer Start(string client, params EndPoint[] nodes)
    {
        var hammer = new Hammer();
        hammer._workers.AddRange(nodes.Select((_, first) => Task.Run(() => hammer.RunAsync(client, nodes, first))));
        return hammer;
    }

    /// <summary>Sends until this many seconds after its start.</summary>
    public async Task ForAsync(double seconds)
    {
        while (Seconds < seconds)
        {
            await Task.Delay(5);
        }
    }

    /// <summary>Waits until this many more requests have been rejected.</summary>
    public Task MoreRejectedAsync(int count)
    {
        int until = _statuses.GetValueOrDefault(429) + count;
        return Eventually.TrueAsync(() => _statuses.GetValueOrDefault(429) >= until, "the client is out of tokens");
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers);
    }

    /// <summary>Asserts that at most the capacity plus the refill until now was admitted, at any moment of the run and
    /// after it.</summary>
    /// <param name="beyond">How many tokens more are allowed.</param>
    public void AssertAtMost(long capacity, double rate, double beyond = 0)
    {
        int admitted = Admitted; // first: then time can only be for it
        double most = capacity + beyond + (rate * Seconds);
        Assert.True(admitted <= most, $"{admitted} admitted so far, allowed {most:0.0}");
    }

    /// <summary>Asserts that at most the capacity plus the refill since the first request was admitted. How near the
    /// number is to that depends on the load of the machine, so it is printed and not asserted
    /// (<see cref="SimulationTests"/> asserts it, in virtual time). Use <see cref="AssertAtMost"/> after an outage,
    /// when nobody owes anything any more.</summary>
    public void AssertNeverMore(long capacity, double rate)
    {
        double most = capacity + (rate * _lastAnswerTicks / Stopwatch.Frequency);
        double due = capacity + (rate * (_lastSentTicks - _firstAnswerTicks) / Stopwatch.Frequency);
        string told = $"{Admitted} admitted, allowed {most:0.0}, due {due:0.0} ({Admitted / due:p1}); "
            + string.Join(", ", _statuses.Select(s => $"{s.Key}: {s.Value}"));
        TestContext.Current.TestOutputHelper?.WriteLine(told);
        Assert.True(Admitted > 0 && Admitted <= most + 1e-6, told);
    }

    /// <summary>Ends the load, also if the test has failed.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task RunAsync(string client, EndPoint[] nodes, int node)
    {
        RawClient? connection = null;
        var random = new Random(node);
        while (!_stop.IsCancellationRequested)
        {
            long sent = _watch.ElapsedTicks;
            try
            {
                connection ??= new RawClient(nodes[node]);
                RawResponse response = await connection.GetAsync("/", $"X-Client-ID: {client}\r\n");
                _statuses.AddOrUpdate(response.Status, 1, static (_, n) => n + 1);
            }
            catch (Exception e) when (e is SocketException or IOException or InvalidOperationException)
            {
                _statuses.AddOrUpdate(-1, 1, static (_, n) => n + 1);
                connection?.Dispose();
                connection = null;
                node = (node + 1) % nodes.Length;
                continue;
            }
            long answered = _watch.ElapsedTicks;
            Lower(ref _firstAnswerTicks, answered);
            Raise(ref _lastSentTicks, sent);
            Raise(ref _lastAnswerTicks, answered);
            await Task.Delay(random.Next(2)); // leaves the other tests some of the machine
        }
        connection?.Dispose();
    }

    private static void Raise(ref long value, long to)
    {
        for (long seen = Interlocked.Read(ref value); seen < to;)
        {
            long before = Interlocked.CompareExchange(ref value, to, seen);
            seen = before == seen ? to : before;
        }
    }

    private static void Lower(ref long value, long to)
    {
        for (long seen = Interlocked.Read(ref value); seen > to;)
        {
            long before = Interlocked.CompareExchange(ref value, to, seen);
            seen = before == seen ? to : before;
        }
    }
}
