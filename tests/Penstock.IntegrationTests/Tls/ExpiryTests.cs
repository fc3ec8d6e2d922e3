using Penstock.IntegrationTests.Admin;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>What operators are told of a certificate that expires, and what a reload does with one that is not valid.
/// </summary>
public sealed class ExpiryTests
{
    private static readonly TestAuthority Authority = TestAuthority.Shared;

    [Fact]
    public async Task Expiry_is_told_at_30_7_and_1_days_and_at_the_end_in_the_log_and_by_the_api()
    {
        var time = new ManualTime();
        DateTimeOffset now = time.GetUtcNow();
        double days = (now - DateTimeOffset.UtcNow).TotalDays; // of the clock of the test from the real one
        await using AdminFixture admin = await AdminFixture.StartAsync(time: time, change: config =>
            With(config, Authority.Issue(["a.example"], rsa: false, from: days - 1, to: days + 31.01)));
        int[] after = new int[5];
        for (int i = 0; i < after.Length; i++)
        {
            after[i] = admin.Log.Count("certificate_expires");
            time.Advance(TimeSpan.FromDays(i switch { 0 => 1.5, 1 => 23, 2 => 6, _ => 1 }));
        }

        Assert.Equal([0, 1, 2, 3, 4], after);
        Assert.Contains(admin.Log.Lines, static line => line.Contains("the certificate of a.example has expired on "));
        Answer ready = await admin.SendAsync("GET", "/readyz");
        Assert.Equal("expiring", ready["checks"].GetProperty("certificates").GetProperty("status").GetString());
        Assert.Contains("the certificate of a.example has expired on ", (await admin.SendAsync("GET", "/status")).Body);
        Assert.Contains("penstock_tls_certificate_expiry_seconds{listener=\"127.0.0.1:0\",name=\"a.example\"} ",
            (await admin.SendAsync("GET", "/metrics")).Body);
    }

    [Theory]
    [InlineData(-30, -1)]
    [InlineData(1, 30)]
    public async Task Certificate_that_is_not_valid_now_does_not_replace_one_that_is(double from, double to)
    {
        TestCertificate invalid = Authority.Issue(["a.example"], rsa: false, from, to);
        TestCertificate valid = Authority.Issue("a.example");
        await using AdminFixture good = await AdminFixture.StartAsync(
            change: config => With(config, valid), reload: config => With(config, invalid));
        await using AdminFixture bad = await AdminFixture.StartAsync(
            change: config => With(config, invalid), reload: config => With(config, valid));

        Answer rejected = await good.SendAsync("POST", "/reload");
        rejected.IsError(409, "so not now; the present one stays");
        Assert.True(good.Host.Proxy.Certificates()[0].Certificate.NotAfter > DateTimeOffset.UtcNow.AddDays(60));
        Assert.Equal(200, (await bad.SendAsync("POST", "/reload")).Status); // at its start it was all that there was
    }

    private static Penstock.Control.Config.PenstockConfig With(
        Penstock.Control.Config.PenstockConfig config, TestCertificate certificate) => config with
        {
            Proxy = config.Proxy with
            {
                Listeners = [config.Proxy.Listeners[0] with
                {
                    Tls = new ListenerTlsConfig { Certificates = [certificate.Config()] },
                }],
            },
        };
}
