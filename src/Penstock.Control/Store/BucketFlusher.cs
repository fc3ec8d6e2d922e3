using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>Saves the buckets that changed, every second and at the end, so a crash loses at most the changes of one
/// second. It remembers which buckets changed until they are saved; their tokens are read when they are saved.
/// </summary>
internal sealed class BucketFlusher(
    Action<List<ClientState>> collectChanged, ClientDirectory directory, TimeProvider time, ILogger<BucketFlusher> log,
    BucketKeeper? keeper = null)
    : IAsyncDisposable
{
    /// <summary>Rows per transaction. An edit waits for at most one transaction, a few milliseconds.</summary>
    private const int ChunkSize = 2048;

    private readonly PeriodicTimer _timer = new(TimeSpan.FromSeconds(1), time);
    private readonly List<ClientState> _changed = [];
    private readonly HashSet<string> _unsaved = [];
    private readonly SemaphoreSlim _flushing = new(1);
    private Task _running = Task.CompletedTask;
    private bool _paused;

    public void Start() => _running = RunAsync();

    /// <summary>Stops the timer and saves a last time.</summary>
    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _running;
        _flushing.Dispose();
        if (_paused)
        {
            return; // another process saves the tokens
        }
        Flush(last: true);
        if (_unsaved.Count > 0)
        {
            log.LogError(Events.TokensLost, "tokens could not be saved (clients: {Count}): {Cause}",
                _unsaved.Count, directory.StoreFault);
        }
    }

    /// <summary>Saves all changes, and then none until <see cref="Resume"/>.</summary>
    public async Task PauseAsync()
    {
        await _flushing.WaitAsync();
        try
        {
            _paused = true;
            Flush(last: true);
        }
        finally
        {
            _flushing.Release();
        }
    }

    public void Resume() => _paused = false;

    /// <summary>The clients whose tokens have changed since they were saved. Call it while paused. They stay
    /// unsaved.</summary>
    public IReadOnlyList<ClientState> CollectUnsaved()
    {
        List<ClientState> changed = [];
        collectChanged(changed);
        _unsaved.UnionWith(changed.Select(static client => client.ClientId));
        return changed;
    }

    /// <summary>Do not call this while the timer runs.</summary>
    internal void Flush(bool last = false)
    {
        collectChanged(_changed);
        _unsaved.UnionWith(_changed.Select(client => client.ClientId));
        _changed.Clear();
        foreach (string[] chunk in _unsaved.Chunk(ChunkSize))
        {
            if (!directory.SaveTokens(chunk))
            {
                return;
            }

            _unsaved.ExceptWith(chunk);
        }
        if (directory.StoreFault is not null)
        {
            directory.Probe();
        }

        keeper?.Flush(last);
    }

    private async Task RunAsync()
    {
        while (await _timer.WaitForNextTickAsync())
        {
            await _flushing.WaitAsync();
            try
            {
                if (!_paused)
                {
                    Flush();
                }
            }
            catch (Exception e)
            {
                log.LogError(Events.FlushFailed, e,
                    "bug in Penstock: saving the buckets failed; Penstock retries every second");
            }
            finally
            {
                _flushing.Release();
            }
        }
    }
}
