using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>What every kind of store must do with plans, access, and numbers by limit.</summary>
public abstract partial class StoreContract
{
    [Fact]
    public void Terms_are_kept_as_they_are()
    {
        ClientTerms?[] all =
        [
            null,
            new() { Access = ClientAccess.Blocked },
            new() { Access = ClientAccess.Exempt, HasNumbers = false },
            new() { Limits = [new("a.b", new(5, 1.0 / 3)), new("search", new(1_000_000_000, 1e-6))] },
        ];
        for (int i = 0; i < all.Length; i++)
        {
            Assert.Equal(all[i], _store.Put($"i{i}", new(10, 1), 3, all[i]).Terms);
            Assert.Equal(all[i], _store.Put($"p{i}", new(10, 1), null, all[i]).Terms);
        }
        _store.PutAll([.. all.Select((terms, i) => new ClientPut($"m{i}", new(10, 1), 3, terms))]);
        for (int i = 0; i < all.Length; i++)
        {
            Assert.Equal(all[i], _store.Find($"i{i}")!.Value.Terms);
            Assert.Equal(all[i], _store.Find($"p{i}")!.Value.Terms);
            Assert.Equal(all[i], _store.Find($"m{i}")!.Value.Terms);
        }

        Assert.Null(_store.Put("p3", new(10, 1), null).Terms); // and go when they are not given
        Assert.Null(_store.Find("p3")!.Value.Terms);
    }

    [Fact]
    public void Clients_of_a_plan_have_its_numbers_whenever_it_changes()
    {
        var gold = new ClientTerms { Plan = "gold" };
        Assert.Equal(new(100, 0.001), _store.PutPlan("gold", new(100, 0.001)).Numbers);
        _store.Put("a", new(100, 0.001), 60, gold);
        _store.Put("full", new(100, 0.001), null, gold);
        _store.Put("own", new(100, 0.001), 60);

        _store.PutPlan("gold", new(50, 0.002));

        Assert.Equal(("a", 50, 0.002, 50), Short(_store.Find("a")));
        Assert.Equal(("own", 100, 0.001, 60), Short(_store.Find("own")));
        Assert.Equal([("a", 50, 0.002, 50), ("full", 50, 0.002, 50), ("own", 100, 0.001, 60)],
            _store.Read("", 10).Select(client => Short(client)));
        Assert.Equal(gold, _store.Find("a")!.Value.Terms);
        Assert.Equal(new PlanNumbers("gold", new(50, 0.002)), Assert.Single(_store.Plans()) with { Version = 0 });
    }

    [Fact]
    public void Client_that_gets_or_leaves_a_plan_keeps_its_tokens()
    {
        _store.PutPlan("gold", new(100, 0.001));
        _store.PutPlan("iron", new(10, 0.001));
        _store.Put("a", new(40, 0.001), 30);

        Assert.Equal(("a", 100, 0.001, 30), Short(_store.Put("a", new(100, 0.001), null, new() { Plan = "gold" })));
        Assert.Equal(("a", 10, 0.001, 10), Short(_store.Put("a", new(10, 0.001), null, new() { Plan = "iron" })));
        _store.PutPlan("iron", new(8, 0.001));
        Assert.Equal(("a", 500, 0.001, 8), Short(_store.Put("a", new(500, 0.001), null)));
        Assert.Equal(("a", 500, 0.001, 8), Short(_store.Find("a")));
    }

    [Fact]
    public void Plans_are_counted_and_deleted()
    {
        _store.PutPlan("gold", new(100, 1));
        _store.PutPlan("iron", new(10, 1));
        _store.Put("a", new(100, 1), null, new() { Plan = "gold" });
        _store.Put("b", new(100, 1), null, new() { Plan = "gold" });

        Assert.Equal([KeyValuePair.Create("gold", 2L)], _store.CountPlanned());
        Assert.Equal((2, 0), _store.Edit(static edit => (edit.CountPlanned("gold"), edit.CountPlanned("iron"))));
        Assert.True(_store.DeletePlan("iron"));
        Assert.False(_store.DeletePlan("iron"));
        Assert.Equal("gold", Assert.Single(_store.Plans()).Name);
        _store.Delete("a");
        _store.Delete("b");
        Assert.True(_store.DeletePlan("gold"));
        Assert.Empty(_store.Plans());
    }

    [Fact]
    public void Plan_that_has_clients_or_is_not_there_is_rejected()
    {
        _store.PutPlan("gold", new(100, 1));
        _store.Put("a", new(100, 1), null, new() { Plan = "gold" });

        Assert.Throws<StoreException>(() => _store.DeletePlan("gold"));
        Eventually(() => Assert.NotNull(_store.Find("a")));
        Assert.Throws<StoreException>(() => _store.Put("b", new(100, 1), null, new() { Plan = "glod" }));
        Eventually(() => Assert.Null(_store.Find("b")));
    }
}
