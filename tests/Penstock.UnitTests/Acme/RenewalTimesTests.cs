using System.Security.Cryptography;
using Penstock.Control.Acme;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Acme;

public sealed class RenewalTimesTests
{
    private static readonly DateTimeOffset Day = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(90)]
    [InlineData(6)]
    public void Certificate_is_renewed_at_two_thirds_of_its_life_or_a_little_before(int days)
    {
        HashSet<DateTimeOffset> times = [];
        for (int i = 0; i < 20; i++)
        {
            HeldCertificate held = Held(TimeSpan.FromDays(days));
            DateTimeOffset due = RenewalTimes.DueOf(held, suggested: null);
            Assert.InRange(due, Day.AddDays(days * (2.0 / 3 - 0.051)), Day.AddDays(days * 2.0 / 3));
            Assert.Equal(due, RenewalTimes.DueOf(held, suggested: null));
            times.Add(due);
        }
        Assert.True(times.Count > 10, "certificates of one day are not all renewed at one time");
    }

    [Fact]
    public void Suggestion_of_the_ca_counts_except_at_the_ends_of_the_life()
    {
        HeldCertificate held = Held(TimeSpan.FromDays(90));

        Assert.Equal(Day.AddDays(40), RenewalTimes.DueOf(held, Day.AddDays(40)));
        Assert.Equal(Day.AddDays(1), RenewalTimes.DueOf(held, Day.AddDays(-3)));
        Assert.Equal(Day.AddDays(81), RenewalTimes.DueOf(held, Day.AddDays(500)));
        Assert.Equal(Day.AddDays(12), RenewalTimes.Within(new(Day.AddDays(10), Day.AddDays(20)), 0.2));
    }

    [Fact]
    public void Pauses_double_from_a_minute_to_six_hours_with_jitter()
    {
        var cause = new AcmeException("no");
        double[] minutes = [.. Enumerable.Range(1, 12).Select(tries =>
            RenewalTimes.PauseAfter(tries, cause, 0.5).TotalMinutes)];

        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360], minutes.Select(static m => Math.Round(m, 9)));
        Assert.Equal(0.8, RenewalTimes.PauseAfter(1, cause, 0).TotalMinutes, 9);
        Assert.Equal(1.2, RenewalTimes.PauseAfter(1, cause, 1).TotalMinutes, 9);
        Assert.Equal(360, RenewalTimes.PauseAfter(int.MaxValue, cause, 0.5).TotalMinutes, 9);
    }

    [Fact]
    public void Ca_that_says_when_to_come_back_is_obeyed_for_a_day_at_most()
    {
        Assert.Equal(TimeSpan.FromHours(1), Pause(TimeSpan.FromHours(1)));
        Assert.Equal(TimeSpan.FromDays(1), Pause(TimeSpan.FromDays(7)));
        Assert.Equal(TimeSpan.FromMinutes(1), Pause(TimeSpan.FromSeconds(3)));

        static TimeSpan Pause(TimeSpan wanted) =>
            RenewalTimes.PauseAfter(1, new AcmeException("no") { RetryAfter = wanted }, 0.5);
    }

    [Fact]
    public void What_only_the_operator_can_change_is_not_tried_every_minute() => Assert.Equal(TimeSpan.FromHours(6),
        RenewalTimes.PauseAfter(1, new AcmeException("no") { Type = "rejectedIdentifier" }, 0.5));

    [Theory]
    [InlineData(90, 55, null)] // not due yet
    [InlineData(90, 60.5, 30.0)]
    [InlineData(90, 83.5, 7.0)]
    [InlineData(90, 89.5, 1.0)]
    [InlineData(90, 91, 0.0)]
    [InlineData(6, 3, null)] // less than a week is left, but the renewal is not due
    [InlineData(6, 4.1, 7.0)]
    [InlineData(398, 270, null)] // due, but more than 30 days are left
    public void Warning_comes_when_the_renewal_is_overdue_and_the_end_is_near(double life, double age, double? days)
    {
        HeldCertificate held = Held(TimeSpan.FromDays(life));
        DateTimeOffset due = RenewalTimes.DueOf(held, suggested: null);

        Assert.Equal(days, RenewalTimes.WarningOf(held, due, Day.AddDays(age))?.TotalDays);
    }

    [Fact]
    public void Id_of_a_certificate_is_that_of_the_example_of_rfc_9773() => Assert.Equal(
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", RenewalTimes.IdOf(
            Convert.FromHexString("69885B6B87464041E1B37B847BA0AE2CDE01C8D4"), Convert.FromHexString("87654321")));

    [Fact]
    public void Serial_number_of_a_certificate_is_in_its_id()
    {
        string id = Held(TimeSpan.FromDays(90)).Id!;

        Assert.Matches("^[A-Za-z0-9_-]{27}\\.[A-Za-z0-9_-]+$", id);
    }

    private static HeldCertificate Held(TimeSpan life)
    {
        using var root = new TestRoot(Day.AddDays(-1), Day.AddDays(800));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] csr = ChallengeCertificate.RequestFor("a.example", key).CreateSigningRequest();
        string pem = root.Issue(csr, Day, Day + life);
        Assert.True(HeldCertificate.TryRead("a.example", "https://ca/", $"{key.ExportPkcs8PrivateKeyPem()}\n{pem}",
            out HeldCertificate? held, out string fault), fault);
        return held;
    }
}
