using Penstock.Control.Store;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>What every kind of store must do with backends that the admin API added.</summary>
public abstract partial class StoreContract
{
    [Fact]
    public void Backends_are_kept_by_upstream_and_address_and_replaced_and_deleted_one_by_one()
    {
        const string Settings = """{"url": "a:1", "stored": true}""";
        Assert.Empty(_store.Backends());
        _store.PutBackend(new("web", "b:1", """{"url": "b:1", "stored": true}"""));
        _store.PutBackend(new("web", "a:1", """{"weight": 2}"""));
        _store.PutBackend(new("web", "a:1", Settings));
        _store.PutBackend(new("api", "a:1", """{"weight": 3}"""));

        Assert.Equal([("api", "a:1"), ("web", "a:1"), ("web", "b:1")],
            _store.Backends().Select(static row => (row.Upstream, row.Address)));
        Assert.Equal(Settings, _store.Backends()[1].Settings);
        Assert.True(_store.DeleteBackend("web", "a:1"));
        Assert.False(_store.DeleteBackend("web", "a:1"));

        if (_store.IsLasting)
        {
            _store.Dispose();
            _store = Open();
        }
        Assert.Equal([("api", "a:1"), ("web", "b:1")],
            _store.Backends().Select(static row => (row.Upstream, row.Address)));
    }
}
