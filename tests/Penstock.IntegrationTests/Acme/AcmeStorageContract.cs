using Penstock.Control.Acme;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Store;
using Xunit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>What every storage of certificates does, for one process and between two.</summary>
public abstract class AcmeStorageContract : IAsyncLifetime
{
    private static readonly AcmeItem Account = new("https://one.example/", "account.json");
    private static readonly AcmeItem OtherAccount = new("https://two.example/", "account.json");

    private IAcmeStorage _one = null!;
    private IAcmeStorage _two = null!;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        (_one, _two) = (Open(), Open());
    }

    public ValueTask DisposeAsync()
    {
        _one.Dispose();
        _two.Dispose();
        Discard();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public void Items_are_what_was_written_last_also_for_others()
    {
        Assert.Empty(_one.Read([Account, OtherAccount]));

        _one.Write(Account, "a");
        _one.Write(OtherAccount, "Ω\n");
        _two.Write(Account, "b");

        Assert.Equal("b", _one.Read([Account, OtherAccount])[Account]);
        Assert.Equal("Ω\n", _two.Read([Account, OtherAccount])[OtherAccount]);
        using IAcmeStorage later = Open();
        Assert.Equal(2, later.Read([Account, OtherAccount]).Count);
    }

    [Fact]
    public void Removed_item_is_gone_and_a_missing_one_can_be_removed()
    {
        _one.Write(Account, "a");

        _one.Write(Account, null);
        _one.Write(OtherAccount, null);

        Assert.Empty(_two.Read([Account, OtherAccount]));
    }

    [Fact]
    public void Version_changes_with_every_write_if_others_read_it()
    {
        HashSet<long> versions = [_two.Version()];
        foreach (string? text in new[] { "a", "a", "b", null })
        {
            _one.Write(Account, text);
            versions.Add(_two.Version());
        }

        Assert.Equal(_one.IsShared ? 5 : 1, versions.Count);
        Assert.Equal(1, _one.Nodes());
    }

    [Fact]
    public void One_process_leads_until_it_ends_the_lead()
    {
        Assert.True(_one.TryLead());
        Assert.False(_two.TryLead());
        Assert.False(_two.TryLead());

        _two.EndLead(); // it has none
        Assert.False(_two.TryLead());
        _one.EndLead();

        Assert.True(_two.TryLead());
        Assert.False(_one.TryLead());
    }

    private protected abstract IAcmeStorage Open();

    private protected virtual Task PrepareAsync() => Task.CompletedTask;

    private protected virtual void Discard()
    {
    }
}

public sealed class AcmeFilesContract : AcmeStorageContract
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;

    private protected override IAcmeStorage Open() => new AcmeFiles(Path.Combine(_folder, "acme"));

    private protected override void Discard() => Directory.Delete(_folder, recursive: true);
}

public sealed class AcmeRowsContract(SharedPostgres postgres) : AcmeStorageContract
{
    private string _store = "";

    /// <summary>The store makes the tables.</summary>
    private protected override async Task PrepareAsync()
    {
        _store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        ClientStores.Open(_store, TimeProvider.System).Dispose();
    }

    private protected override IAcmeStorage Open() => AcmeStorages.Open(_store, "");

    [Fact]
    public void Database_that_cannot_be_reached_is_named_without_its_password()
    {
        using IAcmeStorage nowhere = AcmeStorages.Open("postgres://me:s3cr3t@127.0.0.1:9/penstock", "");

        AcmeException fault = Assert.Throws<AcmeException>(() => nowhere.Read([]));
        Assert.Contains("127.0.0.1:9", fault.Message);
        Assert.DoesNotContain("s3cr3t", fault.Message);
        nowhere.EndLead();
    }
}
