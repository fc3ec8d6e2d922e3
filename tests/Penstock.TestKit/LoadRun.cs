using System.Collections.Concurrent;
using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>Steady load by several keep-alive clients; counts the responses.</summary>
public sealed class LoadRun : IAsyncDisposable
{
    private readonly HttpClient _http = new(TestTls.Handler()) { Timeout = TimeSpan.FromSeconds(30) };
    private readonly CancellationTokenSource _stop = new();
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly Task[] _clients;
    private long _lastSentMs;

    /// <param name="keepAlive">False: each request has a connection, and a handshake, of its own.</param>
    /// <param name="pause">Between a response and the next request; none by default.</param>
    public LoadRun(Uri url, int clients, string? clientId = null, bool keepAlive = true, TimeSpan pause = default)
    {
        _http.DefaultRequestHeaders.ConnectionClose = !keepAlive;
        _clients = [.. Enumerable.Range(0, clients).Select(_ => Task.Run(() => RunAsync(url, clientId, pause)))];
    }

    /// <summary>The number of responses by status; -1: no valid response.</summary>
    public ConcurrentDictionary<int, int> Statuses { get; } = new();

    /// <summary>The number of responses by body.</summary>
    public ConcurrentDictionary<string, int> Bodies { get; } = new();

    /// <summary>The first body of each status that is no success.</summary>
    public ConcurrentDictionary<int, string> Errors { get; } = new();

    /// <summary>How long each response took, in milliseconds, in the order of their ends.</summary>
    public ConcurrentQueue<double> DurationsMs { get; } = new();

    public int Total => Statuses.Values.Sum();

    /// <summary>Waits for this many more responses, optionally of one status.</summary>
    public async Task MoreAsync(int count, string? body = null)
    {
        int Now() => body is null ? Total : Bodies.GetValueOrDefault(body);
        int before = Now();
        await Eventually.TrueAsync(() => Now() - before >= count, $"{count} more responses of {body ?? "any kind"}");
    }

    /// <summary>When the last request that was answered was sent, in seconds since the start. On a busy machine there
    /// may be a pause before the end.</summary>
    public double LastSentSeconds => Interlocked.Read(ref _lastSentMs) / 1000.0;

    /// <exception cref="InvalidOperationException">There were responses with other statuses. The message has their
    /// bodies.</exception>
    public void HadOnly(params int[] statuses)
    {
        int[] others = [.. Statuses.Keys.Except(statuses)];
        if (others.Length > 0)
        {
            throw new InvalidOperationException(string.Join("; ", others.Select(status =>
                $"{Statuses[status]} responses {status}, the first: {Errors.GetValueOrDefault(status, "none")}")));
        }
    }

    /// <summary>Ends the load.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _http.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync(Uri url, string? clientId, TimeSpan pause)
    {
        while (!_stop.IsCancellationRequested)
        {
            int status = -1;
            long sentMs = _watch.ElapsedMilliseconds;
            long sentAt = Stopwatch.GetTimestamp();
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, url);
                if (clientId is not null)
                {
                    request.Headers.Add("X-Client-ID", clientId);
                }
                using HttpResponseMessage response = await _http.SendAsync(request);
                string body = await response.Content.ReadAsStringAsync();
                status = (int)response.StatusCode;
                if (response.IsSuccessStatusCode)
                {
                    Bodies.AddOrUpdate(body.Trim(), 1, static (_, n) => n + 1);
                }
                else
                {
                    Errors.TryAdd(status, body);
                }
            }
            catch (HttpRequestException)
            {
                // Counted as -1.
            }
            DurationsMs.Enqueue(Stopwatch.GetElapsedTime(sentAt).TotalMilliseconds);
            Statuses.AddOrUpdate(status, 1, static (_, n) => n + 1);
            Raise(ref _lastSentMs, sentMs);
            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static void Raise(ref long value, long to)
    {
        for (long seen = Interlocked.Read(ref value); seen < to;)
        {
            seen = Interlocked.CompareExchange(ref value, to, seen) is var before && before == seen ? to : before;
        }
    }
}
