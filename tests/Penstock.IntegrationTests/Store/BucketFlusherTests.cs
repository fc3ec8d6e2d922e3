using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Store;

public sealed class BucketFlusherTests : IAsyncDisposable
{
    private readonly StoreFile _file = new();
    private readonly ManualTime _time = new();
    private readonly RecordedLog _log = new();
    private readonly Limiter _limiter = NewLimiter();
    private readonly HashSet<string> _moved = [];
    private readonly IClientStore _store;
    private readonly ClientDirectory _directory;
    private readonly BucketFlusher _flusher;
    private readonly TaskCompletionSource _collectedTwice = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _collections;

    public BucketFlusherTests()
    {
        _store = ClientStores.Open(_file.Setting, _time);
        _directory = new(_store, _limiter, _log.Factory.CreateLogger<ClientDirectory>());
        _flusher = new(Collect, _directory, _time, _log.Factory.CreateLogger<BucketFlusher>());
        Assert.Equal(EditOutcome.Created, _directory.Create("a", new(100, 0.001)).Outcome);
    }

    public async ValueTask DisposeAsync()
    {
        await _flusher.DisposeAsync();
        _store.Dispose();
        _file.Dispose();
    }

    [Fact]
    public async Task Tick_of_the_clock_saves_the_buckets_that_moved()
    {
        _flusher.Start();
        Move("a", 40);

        // the second collection begins when the first flush is over
        _time.Advance(TimeSpan.FromSeconds(1));
        while (Volatile.Read(ref _collections) == 0)
        {
            await Task.Yield();
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        await _collectedTwice.Task.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(40, _file.Tokens("a"), 2);
    }

    [Fact]
    public async Task End_saves_what_moved_since_the_last_tick()
    {
        _flusher.Start();
        Move("a", 41);

        await _flusher.DisposeAsync();

        Assert.Equal(41, _file.Tokens("a"), 2);
    }

    [Fact]
    public void Kill_loses_what_moved_since_the_last_flush_and_no_more()
    {
        Move("a", 40);
        _flusher.Flush();
        Move("a", 30);

        using StoreFile left = _file.CopyAsKilled();

        Assert.Equal(40, left.Tokens("a"), 2);
    }

    [Fact]
    public void Failing_store_keeps_what_moved_and_logs_each_turn_once()
    {
        _file.Break();
        Move("a", 40);
        _flusher.Flush();
        _flusher.Flush();
        Assert.Contains("no such table", _directory.StoreFault);

        _file.Repair();
        _flusher.Flush();

        Assert.Null(_directory.StoreFault);
        Assert.Equal(40, _file.Tokens("a"), 2);
        Assert.Equal(1, _log.Count("store_failing"));
        Assert.Equal(1, _log.Count("store_recovered"));
    }

    [Fact]
    public void Recovery_is_noticed_when_nothing_moves()
    {
        _file.Break();
        Assert.Equal(EditOutcome.StoreFailed, _directory.Delete("a", default).Outcome);
        _flusher.Flush();
        Assert.NotNull(_directory.StoreFault);

        _file.Repair();
        _flusher.Flush();

        Assert.Null(_directory.StoreFault);
    }

    [Fact]
    public void Late_save_takes_the_tokens_of_now_and_skips_the_deleted()
    {
        _directory.Create("b", new(10, 1));
        _file.Break();
        Move("a", 40);
        Move("b", 4);
        _flusher.Flush();
        _file.Repair();

        _directory.Patch("a", new(Tokens: 7), default);
        _directory.Delete("b", default);
        _flusher.Flush();

        Assert.Equal(7, _file.Tokens("a"), 2);
        Assert.Equal(0L, _file.Scalar<long>("SELECT count(*) FROM clients WHERE client_id = 'b'"));
    }

    [Fact]
    public void Many_buckets_are_all_saved()
    {
        const int Clients = 5000;
        for (int i = 0; i < Clients; i++)
        {
            _store.Put($"c{i}", new(100, 0.001), 100);
            _limiter.Clients.Register($"c{i}", new(100, 0.001));
            Move($"c{i}", 50);
        }

        _flusher.Flush();

        Assert.Equal(Clients, _file.Scalar<long>("SELECT count(*) FROM clients WHERE tokens BETWEEN 49.9 AND 50.1"));
    }

    private static Limiter NewLimiter() =>
        new Penstock.Proxy.ProxyServer(Admin.AdminFixture.ProxyConfig, Microsoft.Extensions.Logging.Abstractions
            .NullLoggerFactory.Instance).Limiter;

    private void Move(string clientId, double tokens)
    {
        Assert.True(_limiter.Clients.TryGet(clientId, out ClientState client));
        _limiter.Clients.Register(clientId, client.Limit, tokens);
        _moved.Add(clientId);
    }

    private void Collect(List<ClientState> into)
    {
        into.AddRange(_moved.Select(id => new ClientState(id, new(1, 1), 0)));
        _moved.Clear();
        if (Interlocked.Increment(ref _collections) == 2)
        {
            _collectedTwice.TrySetResult();
        }
    }
}
