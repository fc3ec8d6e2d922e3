using Penstock.Control;
using Penstock.Control.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Store;

public sealed class SqliteStoreTests : IDisposable
{
    private readonly StoreFile _file = new();

    public void Dispose() => _file.Dispose();

    [Fact]
    public void Tokens_after_a_while_refill_up_to_the_capacity_and_never_shrink()
    {
        var time = new ManualTime();
        using var store = SqliteStore.Open("memory", time);
        store.Put("a", new(100, 2), 10);
        double Tokens() => Math.Round(store.Find("a")!.Value.Tokens, 6);

        Assert.Equal(10, Tokens());
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(13, Tokens());
        time.Advance(TimeSpan.FromDays(10_000));
        Assert.Equal(100, Tokens());
        time.Advance(TimeSpan.FromDays(-20_000));
        Assert.Equal(10, Tokens());
    }

    [Fact]
    public void File_is_in_wal_mode_at_the_newest_schema_and_reopens()
    {
        Open(_file.Setting).Dispose();
        Assert.Equal("wal", _file.Scalar<string>("PRAGMA journal_mode"));
        Assert.Equal(4L, _file.Scalar<long>("PRAGMA user_version"));

        Open(_file.Setting).Dispose();
        Assert.Equal(4L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void Library_is_the_packages_whatever_the_system_has()
    {
        using var store = SqliteStore.Open("memory", TimeProvider.System);

        Assert.True(new Version(_file.Scalar<string>("SELECT sqlite_version()")) >= new Version(3, 53));
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => line.Contains("libsqlite3.so"));
    }

    [Fact]
    public void Open_with_a_newer_schema_says_so()
    {
        Open(_file.Setting).Dispose();
        _file.Execute("PRAGMA user_version = 7");

        AssertRejected("schema is version 7, this Penstock knows up to 4");
        Assert.Equal(7L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void Open_with_another_kind_of_file_says_so()
    {
        File.WriteAllText(_file.Path, "listen: 0.0.0.0:8080\n# this is not a database\n");

        AssertRejected("is not an SQLite database");
    }

    [Fact]
    public void Open_with_a_foreign_table_changes_nothing()
    {
        _file.Execute("CREATE TABLE clients (name TEXT)");

        AssertRejected("clients");
        Assert.Equal(0L, _file.Scalar<long>("PRAGMA user_version"));
    }

    [Fact]
    public void Open_in_a_missing_directory_names_it() =>
        AssertRejected("directory /nowhere/at/all does not exist", "sqlite:/nowhere/at/all/clients.db");

    [Fact]
    public void Open_of_a_directory_says_so() =>
        AssertRejected("is a directory, not a file", "sqlite:" + Path.GetDirectoryName(_file.Path));

    [Fact]
    public void Open_where_nothing_can_be_created_says_so() =>
        AssertRejected("cannot be opened or created", "sqlite:/proc/clients.db");

    [Theory]
    [InlineData("redis://user:secret@host/db")]
    [InlineData("sqlite:")]
    [InlineData("")]
    public void Open_of_an_unknown_kind_names_the_known_ones_and_no_secret(string setting)
    {
        StartException e = Assert.Throws<StartException>(() => Open(setting));

        Assert.Contains("sqlite:PATH", e.Message);
        Assert.DoesNotContain("secret", e.Message);
    }

    [Theory]
    [InlineData("postgres://user:secret@host:99999/db", "the port in the PostgreSQL address is not a number")]
    [InlineData("postgres://user:secret@host/", "the PostgreSQL address names no database")]
    public void Open_of_a_wrong_address_says_what_is_wrong_and_no_secret(string setting, string cause)
    {
        StartException e = Assert.Throws<StartException>(() => Open(setting));

        Assert.Contains(cause, e.Message);
        Assert.DoesNotContain("secret", e.Message);
    }

    private static IClientStore Open(string setting) => ClientStores.Open(setting, TimeProvider.System);

    private void AssertRejected(string cause, string? setting = null)
    {
        setting ??= _file.Setting;
        StartException e = Assert.Throws<StartException>(() => Open(setting));
        Assert.Contains(cause, e.Message);
        Assert.Contains(setting["sqlite:".Length..], e.Message);
    }
}
