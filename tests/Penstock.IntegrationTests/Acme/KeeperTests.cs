using Penstock.Control.Acme;
using Penstock.Control.Config;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>The life of a certificate over months: a real CA over HTTP, on the clock of the test.</summary>
public sealed class KeeperTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string RateLimited = """
        { "type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates for a.example" }
        """;

    private static readonly TimeSpan Life = TimeSpan.FromDays(90);

    private readonly ManualTime _time = new();
    private ScriptedCa _ca = null!;

    public ValueTask InitializeAsync()
    {
        _ca = new(_time, Life);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => _ca.DisposeAsync();

    [Fact]
    public async Task Certificate_is_got_stored_and_renewed_at_two_thirds_of_its_life()
    {
        DateTimeOffset start = _time.GetUtcNow();
        await using KeeperRun run = await StartedAsync();
        HeldCertificate first = run.Held!;
        Assert.Equal(Life, first.NotAfter - first.NotBefore);
        Assert.Equal(CertificateState.Valid, run.Status.State);

        await run.PassAsync(TimeSpan.FromDays(55), TimeSpan.FromDays(1));
        Assert.Same(first, run.Held);
        await run.PassAsync(TimeSpan.FromDays(6), TimeSpan.FromHours(6));

        HeldCertificate second = run.Held!;
        Assert.Equal(2, _ca.Issued);
        Assert.InRange(second.NotBefore - start, Life * (2.0 / 3 - 0.06), Life * (2.0 / 3 + 0.01));
        Assert.NotEqual(first.KeyPem, second.KeyPem);
        Assert.Equal(2, run.Log.Count("certificate_obtained"));
        Assert.DoesNotContain("PRIVATE", string.Join('\n', run.Log.Lines));

        await run.PassAsync(TimeSpan.FromDays(365), TimeSpan.FromDays(1));
        Assert.InRange(_ca.Issued, 7, 9);
        Assert.Equal(0, run.Log.Count("certificate_failed"));
        Assert.Equal(0, run.Log.Count("certificate_expires"));
    }

    [Fact]
    public async Task Restart_orders_nothing_as_long_as_the_stored_certificate_is_young()
    {
        await using KeeperRun run = await StartedAsync();

        await using var again = KeeperRun.Start(_time, run.Keeper.Config!, run.Folder);

        Assert.Equal(run.Held!.ChainPem, again.Held!.ChainPem); // at once, before anything else runs
        await again.DoneAsync();
        Assert.Equal(1, _ca.Issued);
    }

    [Fact]
    public async Task Ca_that_fails_for_an_hour_is_asked_less_and_less_often_and_the_old_certificate_stays()
    {
        await using KeeperRun run = await StartedAsync();
        HeldCertificate first = run.Held!;
        await run.PassAsync(TimeSpan.FromDays(55), TimeSpan.FromDays(1));
        _ca.Fault = (503, "busy");
        await run.PassAsync(TimeSpan.FromDays(6), TimeSpan.FromMinutes(30)); // it becomes due on one of these days
        Assert.Same(first, run.Held);
        Assert.Equal(CertificateState.RenewalFails, run.Status.State);

        int before = run.Log.Count("certificate_failed");
        int orders = _ca.Orders;
        await run.PassAsync(TimeSpan.FromDays(1), TimeSpan.FromMinutes(30));
        Assert.InRange(_ca.Orders - orders, 2, 6); // every six hours by now
        Assert.Equal(_ca.Orders - orders, run.Log.Count("certificate_failed") - before);
        Assert.Contains($"{_ca.DirectoryUrl} answers with status 503. The next try is at ",
            run.Lines("no new certificate for a.example: ")[^1]);
        Assert.Contains("the old certificate stays, valid until", run.Lines("no new certificate for a.example: ")[^1]);

        _ca.Fault = null;
        await run.PassAsync(TimeSpan.FromHours(8), TimeSpan.FromMinutes(30));
        Assert.NotSame(first, run.Held);
        Assert.Equal(1, run.Log.Count("certificate_recovered"));
        Assert.Contains("failed tries", run.Lines("got a certificate")[^1]);
        Assert.Equal((CertificateState.Valid, null), (run.Status.State, run.Keeper.Warning));
    }

    [Fact]
    public async Task First_certificate_comes_soon_after_an_hour_without_a_ca()
    {
        _ca.Fault = (503, "busy");
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl));
        await run.DoneAsync();
        Assert.Equal(CertificateState.Missing, run.Status.State);
        Assert.Contains("there is no certificate for a.example: ", run.Keeper.Warning);

        await run.PassAsync(TimeSpan.FromHours(1), TimeSpan.FromSeconds(10));
        output.WriteLine($"{_ca.Orders} orders in the hour");
        Assert.InRange(_ca.Orders, 5, 8); // after 0, 1, 3, 7, 15, 31 minutes, with jitter
        _ca.Fault = null;
        await run.PassAsync(TimeSpan.FromMinutes(80), TimeSpan.FromMinutes(1));

        Assert.NotNull(run.Held);
    }

    [Fact]
    public async Task Expiry_is_warned_of_once_at_30_7_and_1_days_and_at_the_end()
    {
        await using KeeperRun run = await StartedAsync();
        _ca.Fault = (503, "busy");

        await run.PassAsync(TimeSpan.FromDays(95), TimeSpan.FromHours(6));

        Assert.Equal(4, run.Log.Count("certificate_expires"));
        string[] lines = run.Lines("could not be renewed");
        Assert.Contains("expires in less than 30 days", lines[0]);
        Assert.Contains("expires in less than 7 days", lines[1]);
        Assert.Contains("expires in less than a day", lines[2]);
        Assert.Contains("has expired", lines[3]);
        Assert.All(lines, static line => Assert.Contains("status 503", line));
        Assert.Equal(CertificateState.Expired, run.Status.State);
        Assert.NotNull(run.Held); // the listener decides what to do with it
    }

    [Fact]
    public async Task Ca_that_asks_to_wait_is_not_asked_before_and_its_words_are_told()
    {
        _ca.Fault = (429, RateLimited);
        _ca.RetryAfter = "7200";
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl));
        await run.DoneAsync();
        Assert.Contains("says: too many certificates for a.example (rateLimited)", run.Status.LastError);
        Assert.Equal(_time.GetUtcNow().AddHours(2), run.Status.NextTry);

        await run.PassAsync(TimeSpan.FromMinutes(119), TimeSpan.FromMinutes(1));
        run.Keeper.Apply(run.Keeper.Config! with { Names = ["b.example", "a.example"] }); // a reload is no excuse
        await Eventually.TrueAsync(() => _ca.Orders == 2, "the new name is tried");
        await run.DoneAsync();
        Assert.Equal(2, _ca.Orders);
        await run.PassAsync(TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(1));

        Assert.Equal(3, _ca.Orders);
    }

    [Fact]
    public async Task Restart_after_a_failed_try_waits_as_well_and_a_reload_tries_at_once()
    {
        _ca.Fault = (503, "busy");
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl));
        await run.DoneAsync();
        await run.Keeper.DisposeAsync();

        _ca.Fault = null;
        await using var again = KeeperRun.Start(_time, run.Keeper.Config!, run.Folder);
        await again.DoneAsync();
        Assert.Equal(1, _ca.Orders);
        Assert.Contains("or with a reload", Assert.Single(again.Lines("the last try")));
        again.Keeper.Apply(again.Keeper.Config);

        await Eventually.TrueAsync(() => again.Held is not null, "the reload has got a certificate");
    }

    [Fact]
    public async Task Next_ca_gives_a_certificate_when_the_first_one_fails()
    {
        await using var other = new ScriptedCa(_time, Life);
        _ca.Fault = (429, RateLimited);
        await using KeeperRun run = await StartedAsync(KeeperRun.Config(_ca.DirectoryUrl, other.DirectoryUrl));

        Assert.Equal((1, 1, other.DirectoryUrl), (_ca.Orders, other.Issued, run.Held!.Directory));
        Assert.Equal(0, run.Log.Count("certificate_failed"));
    }

    [Fact]
    public async Task All_causes_are_told_when_all_cas_fail()
    {
        await using var other = new ScriptedCa(_time, Life) { Fault = (503, "busy") };
        _ca.Fault = (429, RateLimited);
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl, other.DirectoryUrl));
        await run.DoneAsync();

        Assert.Contains("(rateLimited); ", run.Status.LastError);
        Assert.Contains($"{other.DirectoryUrl} answers with status 503", run.Status.LastError);
    }

    [Fact]
    public async Task Renewal_comes_when_the_ca_suggests_it_and_names_the_old_certificate()
    {
        DateTimeOffset start = _time.GetUtcNow();
        _ca.Window = _ => (start.AddDays(80), start.AddDays(90));
        await using KeeperRun run = await StartedAsync();
        string id = run.Held!.Id!;
        await run.PassAsync(TimeSpan.FromDays(62), TimeSpan.FromHours(12));
        Assert.Equal(1, _ca.Issued); // later than two thirds

        // As after a mistake of the CA, when it is about to revoke the certificate.
        _ca.Window = one => one == id ? (start.AddDays(-1), start) : (start.AddDays(140), start.AddDays(150));
        await run.PassAsync(TimeSpan.FromDays(1), TimeSpan.FromHours(1));

        Assert.Equal([id], _ca.Replaced);
        Assert.Equal(2, _ca.Issued);
        Assert.Single(run.Lines("asks to renew the certificate of a.example now"));
    }

    [Fact]
    public async Task Order_that_may_not_replace_the_old_certificate_is_repeated_without_that()
    {
        DateTimeOffset start = _time.GetUtcNow();
        _ca.Window = _ => (start.AddDays(10), start.AddDays(11));
        _ca.RejectsReplacing = true;
        await using KeeperRun run = await StartedAsync();

        await run.PassAsync(TimeSpan.FromDays(12), TimeSpan.FromHours(6));

        Assert.True(_ca.Issued > 1);
        Assert.Empty(_ca.Replaced);
        Assert.Equal(0, run.Log.Count("certificate_failed"));
    }

    [Fact]
    public async Task Ca_that_does_not_decide_is_given_up_after_three_minutes()
    {
        _ca.NeverDecides = true;
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl));
        DateTimeOffset start = _time.GetUtcNow();
        await Eventually.TrueAsync(() =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return run.Log.Count("certificate_failed") > 0;
        }, "the order is given up");

        Assert.True(_time.GetUtcNow() - start >= TimeSpan.FromMinutes(3));
        Assert.Contains("did not finish the order within 3 minutes", run.Status.LastError);
        Assert.Null(run.Keeper.KeyAuthorizationOf("token-1"));
    }

    [Fact]
    public async Task Reload_gets_certificates_for_new_names_and_keeps_the_others()
    {
        await using KeeperRun run = await StartedAsync();
        HeldCertificate first = run.Held!;
        int changes = 0;
        run.Keeper.Changed = () => changes++;

        run.Keeper.Apply(run.Keeper.Config! with { Names = ["b.example", "a.example"] });
        await Eventually.TrueAsync(() => run.Keeper.Certificates.Count == 2, "both have certificates");
        Assert.Same(first, run.Keeper.Certificates.Single(static held => held.Names[0] == "a.example"));
        Assert.True(changes > 0);
        run.Keeper.Apply(run.Keeper.Config! with { Names = ["b.example"] });
        await Eventually.TrueAsync(() => run.Keeper.Certificates.Count == 1, "one name is left");
        run.Keeper.Apply(null);
        await Eventually.TrueAsync(() => run.Keeper.Certificates.Count == 0, "nothing is left");

        Assert.Equal(2, _ca.Issued);
    }

    [Fact]
    public async Task Certificate_of_a_ca_that_a_reload_removes_stays_until_the_new_ca_gives_one()
    {
        await using var other = new ScriptedCa(_time, Life) { Fault = (503, "busy") };
        await using KeeperRun run = await StartedAsync();
        HeldCertificate first = run.Held!;

        run.Keeper.Apply(run.Keeper.Config! with { Directories = [other.DirectoryUrl] });
        await Eventually.TrueAsync(() => other.Orders == 1, "the new CA is asked");
        Assert.Same(first, run.Held);
        other.Fault = null;
        run.Keeper.Apply(run.Keeper.Config);

        await Eventually.TrueAsync(() => run.Held!.Directory == other.DirectoryUrl, "the new CA has given one");
    }

    [Fact]
    public async Task Stop_ends_an_order_at_once_and_the_next_start_does_not_wait()
    {
        var hold = new TaskCompletionSource();
        _ca.Hold = hold.Task;
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl));
        await Eventually.TrueAsync(() => Directory.GetFiles(run.Folder, "*.failure.json",
            SearchOption.AllDirectories).Length == 1, "the order has begun");

        await run.Keeper.DisposeAsync(); // the CA does not answer: only the stop can end this
        Assert.Empty(Directory.GetFiles(run.Folder, "*.failure.json", SearchOption.AllDirectories));
        hold.SetResult();
        await using var again = KeeperRun.Start(_time, run.Keeper.Config!, run.Folder);

        await Eventually.TrueAsync(() => again.Held is not null, "the next start gets the certificate");
    }

    [Fact]
    public async Task Storage_that_fails_leads_to_no_order()
    {
        string folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
        string file = Path.Combine(folder, "file");
        await File.WriteAllTextAsync(file, "");
        await using var run = KeeperRun.Start(_time, KeeperRun.Config(_ca.DirectoryUrl), file);
        await run.DoneAsync();

        Assert.Equal(0, _ca.Orders);
        Assert.Contains($"the folder {file} cannot be used", run.Status.LastError);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Stored_certificate_that_is_damaged_is_named_and_replaced()
    {
        await using KeeperRun run = await StartedAsync();
        string file = Assert.Single(Directory.GetFiles(run.Folder, "*.pem", SearchOption.AllDirectories));
        await run.Keeper.DisposeAsync();
        await File.WriteAllTextAsync(file, "something");

        await using var again = KeeperRun.Start(_time, run.Keeper.Config!, run.Folder);
        await Eventually.TrueAsync(() => again.Held is not null, "there is a new one");

        Assert.Contains("is ignored: it contains no certificate", Assert.Single(again.Lines("a.example.pem in")));
    }

    private async Task<KeeperRun> StartedAsync(AcmeConfig? config = null)
    {
        var run = KeeperRun.Start(_time, config ?? KeeperRun.Config(_ca.DirectoryUrl));
        await Eventually.TrueAsync(() => run.Held is not null, "there is a certificate");
        await run.DoneAsync();
        return run;
    }
}
