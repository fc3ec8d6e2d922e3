using System.Diagnostics;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>What every kind of store must do: each fact runs against each kind.</summary>
public abstract partial class StoreContract : IAsyncLifetime
{
    private string _setting = "";
    private IClientStore _store = null!;

    public async ValueTask InitializeAsync()
    {
        _setting = await NewSettingAsync();
        _store = Open();
    }

    public ValueTask DisposeAsync()
    {
        _store.Dispose();
        Discard();
        GC.SuppressFinalize(this);
        return default;
    }

    [Fact]
    public void Client_that_is_put_is_found()
    {
        Assert.Equal(("b", 10, 0.001, 5), Short(_store.Put("b", new(10, 0.001), 5)));

        Assert.Equal(("b", 10, 0.001, 5), Short(_store.Find("b")));
        Assert.Null(_store.Find("a"));
    }

    [Fact]
    public void Put_with_tokens_sets_them_and_without_keeps_what_there_is_room_for()
    {
        Assert.Equal(("a", 10, 0.001, 10), Short(_store.Put("a", new(10, 0.001), null)));
        Assert.Equal(("a", 100, 0.25, 10), Short(_store.Put("a", new(100, 0.25), null)));
        Assert.Equal(("a", 100, 0.001, 50), Short(_store.Put("a", new(100, 0.001), 50)));
        Assert.Equal(("a", 20, 0.001, 20), Short(_store.Put("a", new(20, 0.001), null)));
        Assert.Equal(("a", 200, 0.001, 20), Short(_store.Put("a", new(200, 0.001), null)));
        Assert.Equal(("a", 200, 0.001, 20), Short(_store.Find("a")));
    }

    [Fact]
    public void Delete_forgets_the_client_once()
    {
        _store.Put("a", new(1, 1), 0);

        Assert.True(_store.Delete("a"));
        Assert.False(_store.Delete("a"));
        Assert.Null(_store.Find("a"));
        Assert.Equal(2, _store.Put("a", new(2, 1), 2).Tokens);
    }

    [Fact]
    public void Tokens_saved_are_those_of_clients_that_are_there()
    {
        _store.Put("a", new(100, 0.001), 100);
        _store.Put("b", new(100, 0.001), 100);

        _store.SaveTokens([new("a", new(100, 0.001), 7), new("gone", new(1, 1), 1)]);

        Assert.Equal(7, _store.Find("a")!.Value.Tokens, 1);
        Assert.Equal(100, _store.Find("b")!.Value.Tokens, 1);
        Assert.Null(_store.Find("gone"));
    }

    [Fact]
    public void Load_hands_over_every_client_with_its_limit()
    {
        for (int i = 0; i < 1000; i++)
        {
            _store.Put($"c{i}", new(1000 + i, 0.5), i);
        }

        var all = new Dictionary<string, ClientState>();
        _store.LoadAll(client => all.Add(client.ClientId, client));

        Assert.Equal(1000, all.Count);
        Assert.All(all.Values, client => Assert.Equal(client.ClientId, $"c{client.Limit.Capacity - 1000}"));
        Assert.Equal(700, all["c700"].Tokens, 100.0);
    }

    [Fact]
    public void Page_with_text_and_cursor_returns_the_matching_ids_in_order()
    {
        foreach (string id in new[] { "Key-3", "other", "key-1", "key-2", "100%", "ключ", "a_b", "𐐷", "\uFF5E" })
        {
            _store.Put(id, new(1, 1), 1);
        }

        Assert.Equal(["Key-3", "key-1", "key-2"], _store.Page("", "KEY", 10));
        Assert.Equal(["key-2"], _store.Page("key-1", "key", 10));
        Assert.Equal(["100%", "Key-3"], _store.Page("", "", 2));
        Assert.Equal(["100%"], _store.Page("", "%", 10));
        Assert.Equal(["a_b"], _store.Page("", "_", 10));
        Assert.Equal(["ключ"], _store.Page("", "лю", 10));
        Assert.Equal(["\uFF5E", "𐐷"], _store.Page("ключ", "", 10)); // by bytes, not by UTF-16 units
        Assert.Empty(_store.Page("", "nothing", 10));
    }

    [Fact]
    public void Read_goes_through_all_clients_in_order()
    {
        foreach (string id in new[] { "b", "𐐷", "a", "\uFF5E", "ключ" })
        {
            _store.Put(id, new(10, 0.001), 5);
        }

        List<ClientState> first = _store.Read("", 2);
        List<ClientState> rest = _store.Read(first[^1].ClientId, 10);

        Assert.Equal(["a", "b", "ключ", "\uFF5E", "𐐷"], first.Concat(rest).Select(client => client.ClientId));
        Assert.All(first.Concat(rest), client =>
            Assert.Equal((client.ClientId, 10, 0.001, 5), Short(client)));
        Assert.Empty(_store.Read("𐐷", 10));
    }

    [Fact]
    public void Many_that_are_put_at_once_are_created_or_changed_as_one_by_one()
    {
        _store.Put("kept", new(100, 0.001), 40);
        _store.Put("cut", new(100, 0.001), 40);
        _store.Put("set", new(100, 0.001), 40);
        _store.Put("other", new(100, 0.001), 40);

        List<ClientState> put = _store.PutAll(
        [
            new("new", new(10, 0.002), null), new("kept", new(200, 0.003), null), new("new set", new(10, 0.002), 7),
            new("cut", new(20, 0.001), null), new("set", new(100, 0.001), 7.5),
        ]);

        (string, long, double, double)[] expected =
        [
            ("cut", 20, 0.001, 20), ("kept", 200, 0.003, 40), ("new", 10, 0.002, 10), ("new set", 10, 0.002, 7),
            ("other", 100, 0.001, 40), ("set", 100, 0.001, 7.5),
        ];
        Assert.Equal(expected.Where(client => client.Item1 != "other"),
            put.OrderBy(client => client.ClientId, StringComparer.Ordinal).Select(client => Short(client)));
        Assert.Equal(expected, _store.Read("", 10).Select(client => Short(client)));
    }

    [Fact]
    public void Many_thousands_that_are_put_at_once_are_all_there()
    {
        var ids = Enumerable.Range(0, 10_001).Select(i => $"𐐷\uFF5E{i}").ToList();
        List<ClientState> Put(long capacity, double? tokens) =>
            _store.PutAll([.. ids.Select(id => new ClientPut(id, new(capacity, 0.5), tokens))]);

        Assert.Equal(ids.Count, Put(10, null).Count);
        Assert.Equal(ids.Count, Put(20, 3).DistinctBy(client => client.ClientId).Count());

        List<ClientState> found = _store.FindAll([.. ids, "not there"]);
        Assert.Equal(ids.Count, found.DistinctBy(client => client.ClientId).Count());
        Assert.All(found, client => Assert.Equal(new(20, 0.5), client.Limit));
        Assert.Empty(_store.FindAll([]));
        Assert.Empty(_store.PutAll([]));
    }

    [Fact]
    public void Many_of_which_one_cannot_be_put_change_nothing()
    {
        _store.Put("0", new(10, 1), null);
        IEnumerable<ClientPut> good = Enumerable.Range(0, 5000).Select(i => new ClientPut($"{i}", new(20, 1), null));

        Assert.Throws<StoreException>(() =>
            _store.PutAll([.. good, new("z", new(0, 1), null)])); // the table rejects a capacity of 0

        Eventually(() => Assert.Equal("0", Assert.Single(_store.Read("", 10)).ClientId));
        Assert.Equal(10, _store.Find("0")!.Value.Limit.Capacity);
    }

    [Theory]
    [InlineData("a/b?c=d&e")]
    [InlineData("'; DROP TABLE clients; --")]
    [InlineData("ключ 🔑 \\ %41")]
    public void Any_printable_id_is_kept_as_it_is(string id)
    {
        _store.Put(id, new(10, 1), 3);
        Assert.Equal(id, _store.Find(id)!.Value.ClientId);
        Assert.Equal([id], _store.Page("", "", 10));
        Assert.True(_store.Delete(id));
    }

    [Fact]
    public void Limits_keep_every_digit()
    {
        _store.Put("a", new(1_000_000_000, 1.0 / 3), 999_999_999.5);
        _store.Put("b", new(1, 1e-7), 0.123456789);

        Assert.Equal(new(1_000_000_000, 1.0 / 3), _store.Find("a")!.Value.Limit);
        Assert.Equal(new(1, 1e-7), _store.Find("b")!.Value.Limit);
        Assert.Equal(0.123456789, _store.Find("b")!.Value.Tokens, 6);
    }

    [Fact]
    public void Edit_that_fails_leaves_nothing_behind_and_the_failure_reaches_the_caller()
    {
        Assert.Equal(3, _store.Edit(static _ => 3));
        Assert.Throws<InvalidOperationException>(() => _store.Edit<int>(static edit =>
        {
            edit.PutPlan("gold", new(10, 1));
            edit.Put(new("a", new(1, 1), 1));
            Assert.NotNull(edit.Find("a"));
            throw new InvalidOperationException();
        }));

        Assert.Null(_store.Find("a"));
        Assert.Empty(_store.Plans());
        Assert.Equal(1, _store.Put("a", new(1, 1), 1).Tokens);
    }

    [Fact]
    public void Opened_again_it_has_what_was_put()
    {
        if (!Keeps)
        {
            return;
        }

        _store.Put("a", new(10, 0.001), 5);
        _store.Probe();
        _store.Dispose();

        _store = Open();

        Assert.Equal(("a", 10, 0.001, 5), Short(_store.Find("a")));
    }

    [Fact]
    public void Use_after_close_fails_as_a_store_does()
    {
        _store.Dispose();

        Assert.Throws<StoreException>(() => _store.Delete("a"));
    }

    private protected virtual bool Keeps => true;

    private protected abstract ValueTask<string> NewSettingAsync();

    private protected virtual void Discard()
    {
    }

    /// <summary>A store that has just failed may reject for a second.</summary>
    private static void Eventually(Action check)
    {
        for (var watch = Stopwatch.StartNew(); ;)
        {
            try
            {
                check();
                return;
            }
            catch (StoreException) when (watch.Elapsed < TimeSpan.FromSeconds(10))
            {
                Thread.Yield();
            }
        }
    }

    private IClientStore Open() => ClientStores.Open(_setting, TimeProvider.System);

    private static (string, long, double, double) Short(ClientState? client) => client is { } c
        ? (c.ClientId, c.Limit.Capacity, c.Limit.RatePerSecond, Math.Round(c.Tokens, 1)) : default;
}

public sealed class SqliteStoreContract : StoreContract
{
    private readonly StoreFile _file = new();

    private protected override ValueTask<string> NewSettingAsync() => new(_file.Setting);

    private protected override void Discard() => _file.Dispose();
}

public sealed class MemoryStoreContract : StoreContract
{
    private protected override bool Keeps => false;

    private protected override ValueTask<string> NewSettingAsync() => new("memory");
}

public sealed class PostgresStoreContract(SharedPostgres postgres) : StoreContract
{
    private protected override async ValueTask<string> NewSettingAsync() =>
        await (await postgres.StartedAsync()).NewDatabaseAsync();
}
