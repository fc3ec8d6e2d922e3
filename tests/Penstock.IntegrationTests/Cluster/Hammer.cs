using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>One client that sends to several nodes as fast as they answer, and counts.</summary>
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

    public double Seconds => _watch.Elapsed.TotalSeconds;

    public IReadOnlyDictionary<int, int> Statuses => _statuses;

    public static Hammer Start(string client, params EndPoint[] nodes)
    {
        var hammer = new Hammer();
        hammer._workers.AddRange(nodes.Select(node => Task.Run(() => hammer.RunAsync(client, node))));
        return hammer;
    }

    public Task ForAsync(double seconds) =>
        Eventually.TrueAsync(() => Seconds >= seconds, "time goes by");

    /// <summary>Waits until so many more are rejected.</summary>
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

    /// <summary>Never more than the capacity and what came back since the first request; not much less, where the
    /// machine has time for the lease threads (97 % and more on a quiet one).</summary>
    public void AssertExact(long capacity, double rate, double atLeast = 0.9)
    {
        var most = capacity + (rate * _lastAnswerTicks / Stopwatch.Frequency);
        var least = capacity + (rate * (_lastSentTicks - _firstAnswerTicks) / Stopwatch.Frequency);
        var told = $"{Admitted} admitted, allowed {most:0.0}, due {least:0.0}; "
            + string.Join(", ", _statuses.Select(s => $"{s.Key}: {s.Value}"));
        TestContext.Current.SendDiagnosticMessage(told);
        Assert.True(Admitted <= most + 1e-6, told);
        Assert.True(Admitted >= (least * atLeast) - 1, told); // a token is whole or not there
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync(string client, EndPoint node)
    {
        RawClient? connection = null;
        var random = new Random(node.GetHashCode());
        while (!_stop.IsCancellationRequested)
        {
            var sent = _watch.ElapsedTicks;
            try
            {
                connection ??= new RawClient(node);
                var response = await connection.GetAsync("/", $"X-Client-ID: {client}\r\n");
                _statuses.AddOrUpdate(response.Status, 1, static (_, n) => n + 1);
            }
            catch (Exception e) when (e is SocketException or IOException or InvalidOperationException)
            {
                _statuses.AddOrUpdate(-1, 1, static (_, n) => n + 1);
                connection?.Dispose();
                connection = null;
                continue;
            }
            var answered = _watch.ElapsedTicks;
            Lower(ref _firstAnswerTicks, answered);
            Raise(ref _lastSentTicks, sent);
            Raise(ref _lastAnswerTicks, answered);
            await Task.Delay(random.Next(2)); // leaves the other tests some of the machine
        }
        connection?.Dispose();
    }

    private static void Raise(ref long value, long to)
    {
        for (var seen = Interlocked.Read(ref value); seen < to;)
        {
            var before = Interlocked.CompareExchange(ref value, to, seen);
            seen = before == seen ? to : before;
        }
    }

    private static void Lower(ref long value, long to)
    {
        for (var seen = Interlocked.Read(ref value); seen > to;)
        {
            var before = Interlocked.CompareExchange(ref value, to, seen);
            seen = before == seen ? to : before;
        }
    }
}
