using Penstock.Control;
using Penstock.Control.Store;
using Xunit;

namespace Penstock.IntegrationTests.Store;

public sealed class ClientStoreTests : IDisposable
{
    private readonly StoreFile _file = new();

    public void Dispose() => _file.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Store_of_either_kind_inserts_updates_pages_and_deletes(bool memory)
    {
        using var store = ClientStore.Open(memory ? "memory" : _file.Setting);

        Assert.True(store.Insert(new("b", new(10, 1), 5, 1000)));
        Assert.False(store.Insert(new("b", new(99, 9), 9, 9000)));
        Assert.Equal([new StoredClient("b", new(10, 1), 5, 1000)], All(store));

        store.Upsert(new("b", new(20, 0.25), 7, 2000));
        store.Upsert(new("a", new(1, 2), 1, 2000));
        store.SaveTokens([new("b", new(20, 0.25), 3.5), new("gone", new(1, 1), 1)], 3000);
        Assert.Equal([new("a", new(1, 2), 1, 2000), new StoredClient("b", new(20, 0.25), 3.5, 3000)], All(store));

        Assert.Equal(["a", "b"], store.Page("", "", 10));
        Assert.True(store.Delete("b"));
        Assert.False(store.Delete("b"));
        Assert.Equal(["a"], store.Page("", "", 10));
    }

    [Fact]
    public void Page_with_text_and_cursor_returns_the_matching_ids_in_order()
    {
        using var store = ClientStore.Open("memory");
        foreach (var id in new[] { "Key-3", "other", "key-1", "key-2", "100%", "ключ" })
            store.Upsert(new(id, new(1, 1), 1, 0));

        Assert.Equal(["Key-3", "key-1", "key-2"], store.Page("", "KEY", 10));
        Assert.Equal(["key-2"], store.Page("key-1", "key", 10));
        Assert.Equal(["100%", "Key-3"], store.Page("", "", 2));
        Assert.Equal(["100%"], store.Page("", "%", 10));
        Assert.Equal(["ключ"], store.Page("", "лю", 10));
    }

    [Fact]
    public void Tokens_after_a_while_refill_up_to_the_capacity_and_never_shrink()
    {
        var client = new StoredClient("a", new(100, 2), 10, 5000);

        Assert.Equal(10, client.TokensAt(5000));
        Assert.Equal(13, client.TokensAt(6500));
        Assert.Equal(100, client.TokensAt(long.MaxValue));
        Assert.Equal(10, client.TokensAt(0));
    }

    [Fact]
    public void File_is_in_wal_mode_at_the_newest_schema_and_reopens()
    {
        ClientStore.Open(_file.Setting).Dispose();
        Assert.Equal("wal", _file.Scalar<string>("PRAGMA journal_mode"));
        Assert.Equal(1L, _file.Scalar<long>("PRAGMA user_version"));

        ClientStore.Open(_file.Setting).Dispose();
        Assert.Equal(1L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void System_library_is_preferred_to_the_bundled_one()
    {
        Assert.SkipUnless(File.Exists("/lib/x86_64-linux-gnu/libsqlite3.so.0"), "this system has no libsqlite3.so.0");
        using var store = ClientStore.Open("memory");

        Assert.Contains(File.ReadLines("/proc/self/maps"), line => line.Contains("libsqlite3.so.0"));
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => line.Contains("libe_sqlite3.so"));
    }

    [Fact]
    public void Open_with_a_newer_schema_says_so()
    {
        ClientStore.Open(_file.Setting).Dispose();
        _file.Execute("PRAGMA user_version = 7");

        AssertRefused("schema is version 7, this Penstock knows up to 1");
        Assert.Equal(7L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void Open_with_another_kind_of_file_says_so()
    {
        File.WriteAllText(_file.Path, "listen: 0.0.0.0:8080\n# this is not a database\n");

        AssertRefused("is not an SQLite database");
    }

    [Fact]
    public void Open_with_a_table_that_is_not_ours_changes_nothing()
    {
        _file.Execute("CREATE TABLE clients (name TEXT)");

        AssertRefused("clients");
        Assert.Equal(0L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void Open_in_a_missing_directory_names_it() =>
        AssertRefused("directory /nowhere/at/all does not exist", "sqlite:/nowhere/at/all/clients.db");

    [Fact]
    public void Open_of_a_directory_says_so() =>
        AssertRefused("is a directory, not a file", "sqlite:" + Path.GetDirectoryName(_file.Path));

    [Fact]
    public void Open_where_nothing_can_be_created_says_so() =>
        AssertRefused("cannot be opened or created", "sqlite:/proc/clients.db");

    [Theory]
    [InlineData("postgres://user:secret@host/db")]
    [InlineData("sqlite:")]
    [InlineData("")]
    public void Open_of_an_unknown_kind_names_the_known_ones_and_no_secret(string setting)
    {
        var e = Assert.Throws<StartException>(() => ClientStore.Open(setting));

        Assert.Contains("sqlite:PATH or memory", e.Message);
        Assert.DoesNotContain("secret", e.Message);
    }

    [Fact]
    public void Use_after_close_fails_as_a_store_does()
    {
        var store = ClientStore.Open("memory");
        store.Dispose();

        Assert.Throws<StoreException>(() => store.Delete("a"));
    }

    private static List<StoredClient> All(ClientStore store)
    {
        var all = new List<StoredClient>();
        store.LoadAll(all.Add);
        return [.. all.OrderBy(client => client.ClientId, StringComparer.Ordinal)];
    }

    private void AssertRefused(string cause, string? setting = null)
    {
        setting ??= _file.Setting;
        var e = Assert.Throws<StartException>(() => ClientStore.Open(setting));
        Assert.Contains(cause, e.Message);
        Assert.Contains(setting["sqlite:".Length..], e.Message);
    }
}
