using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Penstock.Control.Acme;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Admin;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>Certificates from Let's Encrypt's test CA, which checks every signature, nonce and challenge.</summary>
public sealed class PebbleTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    internal static void SkipUnlessInstalled() => Assert.SkipUnless(Pebble.IsInstalled, "Pebble is not installed");

    [Fact]
    public async Task First_certificates_come_soon_after_the_start_also_from_a_ca_that_rejects_nonces()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync(environment: ("PEBBLE_WFE_NONCEREJECT", "30"));
        await using var answers = new HttpAnswers(pebble.HttpPort);
        var watch = Stopwatch.StartNew();
        await using AdminFixture node = await StartAsync(Config(pebble) with { Names = ["a.example", "b.a.example"] });
        answers.For(node.Host.Certificates);
        await HasAsync(node, 1);
        output.WriteLine($"first certificate after {watch.ElapsedMilliseconds} ms");
        await HasAsync(node, 2);
        output.WriteLine($"second certificate after {watch.ElapsedMilliseconds} ms");

        HeldCertificate held = node.Host.Certificates.Certificates.Single(static one => one.Names[0] == "a.example");
        using var leaf = X509Certificate2.CreateFromPem(held.ChainPem, held.KeyPem);
        Assert.True(leaf.HasPrivateKey);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(held.ChainPem);
        Assert.Equal(leaf.Issuer, chain[1].Subject);
        Assert.Null(node.Host.Certificates.KeyAuthorizationOf("no-token"));
        Assert.Contains("\"certificates\":{\"status\":\"ok\"}", (await node.SendAsync("GET", "/readyz")).Body);
    }

    [Fact]
    public async Task Certificate_comes_by_tls_alpn_01()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new TlsAnswers(pebble.TlsPort);
        await using AdminFixture node = await StartAsync(
            Config(pebble) with { Challenge = AcmeChallenge.TlsAlpn01 });
        answers.For(node.Host.Certificates);

        await HasAsync(node, 1);
        await Eventually.TrueAsync(() => node.Host.Certificates.Challenges.Count == 0, "no challenge is left");
    }

    [Fact]
    public async Task Name_that_does_not_lead_here_is_told_in_the_words_of_the_ca_and_holds_up_no_other()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        await using AdminFixture node = await StartAsync(
            Config(pebble) with { Names = ["blocked.example", "a.example"] });
        answers.For(node.Host.Certificates);

        await HasAsync(node, 1);
        await Eventually.TrueAsync(() => node.Host.Certificates.Warning is not null, "the other name has failed");
        Assert.Contains("(rejectedIdentifier)", node.Host.Certificates.Warning);
        Assert.Contains("there is no certificate for blocked.example: ",
            (await node.SendAsync("GET", "/status")).Body);
        Assert.Contains("\"status\":\"degraded\"", (await node.SendAsync("GET", "/readyz")).Body);
    }

    [Fact]
    public async Task Wrong_answer_to_the_challenge_is_told_in_the_words_of_the_ca()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        await using AdminFixture node = await StartAsync(Config(pebble));
        answers.For(new CertificateKeeper(null, static _ => throw new NotSupportedException(), TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance)); // one that knows no token

        await node.Log.WaitForAsync("certificate_failed");
        await Eventually.TrueAsync(() =>
            node.Host.Certificates.Statuses[0].LastError?.Contains("(unauthorized)") == true, "the status says why");
    }

    [Fact]
    public async Task Account_is_bound_to_the_one_that_the_operator_has_at_the_ca()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync(needsBinding: true);
        await using var answers = new HttpAnswers(pebble.HttpPort);
        await using (AdminFixture without = await StartAsync(Config(pebble)))
        {
            await without.Log.WaitForAsync("certificate_failed");
            Assert.Contains("write its values in tls.acme.eab", string.Join('\n', without.Log.Lines));
        }
        Directory.Delete(Path.Combine(_folder, "acme"), recursive: true);

        await using AdminFixture node = await StartAsync(Config(pebble) with
        {
            Binding = new() { KeyId = Pebble.KeyId, HmacKey = Pebble.HmacKey },
        });
        answers.For(node.Host.Certificates);

        await HasAsync(node, 1);
    }

    [Fact]
    public async Task Certificate_of_a_short_life_is_renewed_while_the_old_one_is_in_force()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync(life: TimeSpan.FromSeconds(20));
        await using var answers = new HttpAnswers(pebble.HttpPort);
        await using AdminFixture node = await StartAsync(Config(pebble));
        answers.For(node.Host.Certificates);
        await HasAsync(node, 1);
        HeldCertificate first = node.Host.Certificates.Certificates[0];

        await Eventually.TrueAsync(() =>
        {
            Assert.Single(node.Host.Certificates.Certificates); // at every moment
            return node.Host.Certificates.Certificates[0] != first;
        }, "it is renewed");

        Assert.NotEqual(first.KeyPem, node.Host.Certificates.Certificates[0].KeyPem);
    }

    [Fact]
    public async Task Ca_that_comes_back_without_the_account_gets_it_again()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        AcmeConfig config = Config(pebble);
        AcmeConfig next = config with { Names = ["a.example", "c.example"], Email = "other@a.example" };
        await using AdminFixture node = await StartAsync(config, () => next);
        answers.For(node.Host.Certificates);
        await HasAsync(node, 1);

        await pebble.StopAsync();
        node.Host.Reloader.Reload();
        await node.Log.WaitForAsync("certificate_failed");
        Assert.Contains("cannot be reached: ", node.Host.Certificates.Warning);
        await pebble.StartAgainAsync();
        node.Host.Reloader.Reload();

        await HasAsync(node, 2);
        Assert.Equal(1, node.Log.Count("certificate_recovered"));
    }

    [Fact]
    public async Task Address_of_the_operator_is_changed_at_the_ca()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using var answers = new HttpAnswers(pebble.HttpPort);
        AcmeConfig config = Config(pebble);
        await using AdminFixture node = await StartAsync(
            config, () => config with { Names = ["c.example"], Email = "other@a.example" });
        answers.For(node.Host.Certificates);
        await HasAsync(node, 1);
        node.Host.Reloader.Reload();
        await Eventually.TrueAsync(() => node.Host.Certificates.Certificates is [{ Names: ["c.example"] }],
            "the new name has a certificate");

        string account = Assert.Single(Directory.GetFiles(_folder, "account.json", SearchOption.AllDirectories));
        Assert.Contains("other@a.example", await File.ReadAllTextAsync(account));
    }

    [Fact]
    public async Task Server_of_a_private_ca_that_is_not_trusted_is_told_with_the_remedy()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync();
        await using AdminFixture node = await StartAsync(Config(pebble) with { Roots = PemText.Empty });

        await node.Log.WaitForAsync("certificate_failed");
        Assert.Contains("name its root certificate in tls.acme.ca", node.Host.Certificates.Warning);
    }

    /// <summary>As an operator does it: a file, a start, and the certificate lies in the folder.</summary>
    [Fact]
    public async Task Program_gets_a_certificate_from_a_configuration_of_four_lines()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync(environment: ("PEBBLE_VA_ALWAYS_VALID", "1"));
        File.Copy(pebble.RootFile, Path.Combine(_folder, "root.pem"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:0
            backends: [127.0.0.1:9]
            admin: off
            tls: { acme: { names: [a.example], directory: "{{pebble.DirectoryUrl}}", ca: root.pem } }
            """);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");

        await Eventually.TrueAsync(() => penstock.Lines.Any(static line =>
            line.Contains("\"event\":\"certificate_obtained\"", StringComparison.Ordinal)), "it logs the certificate");
        string file = Assert.Single(Directory.GetFiles(Path.Combine(_folder, "acme"), "a.example.pem",
            SearchOption.AllDirectories));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.DoesNotContain("PRIVATE", string.Join('\n', penstock.Lines));
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task Kill_in_the_middle_of_an_order_leaves_whole_files_only()
    {
        SkipUnlessInstalled();
        await using Pebble pebble = await Pebble.StartAsync(environment: ("PEBBLE_VA_ALWAYS_VALID", "1"));
        string folder = Path.Combine(_folder, "acme");
        await File.WriteAllTextAsync(Path.Combine(_folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:0
            backends: [127.0.0.1:9]
            admin: off
            tls: { acme: { names: [a.example], directory: "{{pebble.DirectoryUrl}}", ca: "{{pebble.RootFile}}" } }
            """);
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (int i = 0; i < 5; i++)
        {
            await using PenstockProcess penstock = PenstockProcess.Start(_folder, "run");
            await Eventually.TrueAsync(() => Files(folder, "*.failure.json").Length + Files(folder, "*.pem").Length > 0,
                "the order has begun");
            await Task.Delay(random.Next(200));
            await penstock.KillAsync();

            foreach (string file in Files(folder, "*.pem"))
            {
                Assert.True(HeldCertificate.TryRead("a.example", "", await File.ReadAllTextAsync(file), out _,
                    out string fault), fault);
                File.Delete(file);
            }
            foreach (string file in Files(folder, "*.failure.json"))
            {
                File.Delete(file); // otherwise the next start waits a minute
            }
            foreach (string file in Files(folder, "account.json"))
            {
                using var key = AcmeKey.FromPem(JsonSerializer.Deserialize(
                    await File.ReadAllTextAsync(file), AcmeJson.Default.StoredAccount)!.Key);
            }
        }
        await using PenstockProcess last = PenstockProcess.Start(_folder, "run");

        await Eventually.TrueAsync(() => Files(folder, "*.pem").Length == 1, "the last start gets a certificate");
    }

    private static string[] Files(string folder, string pattern) => !Directory.Exists(folder) ? []
        : Directory.GetFiles(folder, pattern, SearchOption.AllDirectories);

    private static Task HasAsync(AdminFixture node, int certificates) => Eventually.TrueAsync(
        () => node.Host.Certificates.Certificates.Count == certificates, $"there are {certificates} certificates");

    internal static PemText Roots(Pebble pebble) => new(pebble.RootFile, File.ReadAllBytes(pebble.RootFile));

    private AcmeConfig Config(Pebble pebble) => new()
    {
        Names = ["a.example"], Directories = [pebble.DirectoryUrl], Roots = Roots(pebble),
        Email = "ops@a.example", Storage = Path.Combine(_folder, "acme"),
    };

    private static Task<AdminFixture> StartAsync(AcmeConfig acme, Func<AcmeConfig>? reload = null) =>
        AdminFixture.StartAsync(change: config => config with { Tls = new() { Acme = acme } },
            reload: reload is null ? null : config => config with { Tls = new() { Acme = reload() } });
}
