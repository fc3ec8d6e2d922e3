using Penstock.Control.Acme;
using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Admin;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>Two nodes on one PostgreSQL: one of them orders, both have the certificates.</summary>
public sealed class SharedCertificateTests(SharedPostgres postgres)
{
    [Fact]
    public async Task One_node_orders_each_node_answers_the_ca_and_all_have_the_certificates()
    {
        PebbleTests.SkipUnlessInstalled();
        string store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        AcmeConfig config = Config(pebble);
        await using AdminFixture one = await StartAsync(store, config with { Names = [] });
        await using AdminFixture two = await StartAsync(store, config);
        answers.For(one.Host.Certificates, two.Host.Certificates);
        one.Host.Certificates.Apply(config); // when both are there

        await HasAllAsync(one);
        await HasAllAsync(two);

        Assert.Equal(3, pebble.Issued);
        Assert.Equal(0, answers.Count.Missing); // the CA asks for each answer several times, one node after the other
        Assert.Equal(0, one.Log.Count("certificate_failed") + two.Log.Count("certificate_failed"));
        Assert.Equal(3, one.Log.Count("certificate_obtained") + two.Log.Count("certificate_obtained"));
        Assert.Equal(Pems(one), Pems(two));
        await using AdminFixture later = await StartAsync(store, config);
        Assert.Equal(Pems(one), Pems(later)); // from its start on
    }

    [Fact]
    public async Task Failed_try_of_one_node_postpones_those_of_all_and_a_reload_of_one_tries_again()
    {
        PebbleTests.SkipUnlessInstalled();
        string store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        await using Pebble pebble = await Pebble.StartAsync();
        AcmeConfig config = Config(pebble) with { Names = ["blocked.example"] };
        await using AdminFixture one = await StartAsync(store, config);
        await one.Log.WaitForAsync("certificate_failed");
        await using AdminFixture two = await StartAsync(store, config);

        Assert.Equal(one.Host.Certificates.Statuses[0], two.Host.Certificates.Statuses[0]);
        Assert.Contains("or with a reload", string.Join('\n', two.Log.Lines));
        int tries = Orders(pebble);
        two.Host.Certificates.Apply(config);

        await Eventually.TrueAsync(() => Orders(pebble) == tries + 1
            && one.Host.Certificates.Statuses[0] == two.Host.Certificates.Statuses[0]
            && two.Host.Certificates.Statuses[0].State == CertificateState.Missing, "one of them has tried again");
    }

    [Fact]
    public async Task Database_that_fails_leaves_the_certificates_in_force()
    {
        PebbleTests.SkipUnlessInstalled();
        SharedPostgres.SkipUnlessInstalled();
        await using PostgresServer server = await PostgresServer.StartAsync();
        string store = await server.NewDatabaseAsync();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        await using AdminFixture node = await StartAsync(store, Config(pebble));
        answers.For(node.Host.Certificates);
        await HasAllAsync(node);

        await server.StopAsync(kill: true);
        node.Host.Certificates.Apply(Config(pebble) with { Names = ["a.example", "new.example"] });
        await Eventually.TrueAsync(() => node.Host.Certificates.Warning is not null, "the new name fails");
        Assert.Contains("the store postgres", node.Host.Certificates.Warning);
        Assert.Equal("a.example", Assert.Single(node.Host.Certificates.Certificates).Names[0]);
        await server.StartAgainAsync();
        node.Host.Certificates.Apply(Config(pebble) with { Names = ["a.example", "new.example"] });

        await Eventually.TrueAsync(() => node.Host.Certificates.Certificates.Count == 2, "the new name has one");
    }

    [Fact]
    public async Task Lead_of_a_node_that_has_crashed_ends_by_itself()
    {
        PostgresServer server = await postgres.StartedAsync();
        string store = await server.NewDatabaseAsync();
        ClientStores.Open(store, TimeProvider.System).Dispose(); // makes the tables
        using IAcmeStorage crashed = AcmeStorages.Open(store, "");
        using IAcmeStorage other = AcmeStorages.Open(store, "");
        Assert.True(crashed.TryLead());

        await server.SqlAsync(store, "UPDATE penstock_acme_lead SET until = until - interval '3 minutes'");
        Assert.False(other.TryLead());
        await server.SqlAsync(store, "UPDATE penstock_acme_lead SET until = until - interval '2 minutes'");

        Assert.True(other.TryLead());
        Assert.False(crashed.TryLead());
    }

    private static int Orders(Pebble pebble) =>
        pebble.Lines.Count(static line => line.Contains("POST /order-plz", StringComparison.Ordinal));

    private static string[] Pems(AdminFixture node) =>
        [.. node.Host.Certificates.Certificates.Select(static held => held.Pem).Order(StringComparer.Ordinal)];

    private static Task HasAllAsync(AdminFixture node) => Eventually.TrueAsync(() =>
        node.Host.Certificates.Certificates.Count == 3, "the node has all certificates");

    private static AcmeConfig Config(Pebble pebble) => new()
    {
        Names = ["a.example", "b.example", "c.example"], Directories = [pebble.DirectoryUrl],
        Roots = PebbleTests.Roots(pebble),
    };

    private static Task<AdminFixture> StartAsync(string store, AcmeConfig acme) =>
        AdminFixture.StartAsync(store, change: config => config with { Tls = new() { Acme = acme } });
}
