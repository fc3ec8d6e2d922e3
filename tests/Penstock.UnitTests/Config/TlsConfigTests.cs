using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>What keys of TLS say together.</summary>
public sealed class TlsConfigTests
{
    private const string Listeners = """
        listen: [0.0.0.0:80, { address: 0.0.0.0:443, tls: { redirect_from: 80 } }]
        backends: [127.0.0.1:9001]

        """;

    [Fact]
    public void Listener_needs_no_certificate_when_a_ca_gives_them() => Assert.Empty(
        ConfigText.Faults(Listeners + "tls: { acme: { names: [example.com] } }\n"));

    [Fact]
    public void Listener_without_any_certificate_is_an_error() => Assert.Contains(
        "tls: a listener has no certificate", Assert.Single(ConfigText.Faults(Listeners)));

    [Theory]
    [InlineData("off")]
    [InlineData("1h")]
    [InlineData("1d")]
    [InlineData("365d")]
    [InlineData("3650d")]
    public void Hsts_may_be_days(string age) => Assert.Empty(ConfigText.Faults(
        Listeners.Replace("redirect_from: 80", $"redirect_from: 80, hsts: {age}")
        + "tls: { acme: { names: [example.com] } }\n"));

    [Theory]
    [InlineData("0d")]
    [InlineData("1.5d")]
    [InlineData("3651d")]
    public void Hsts_is_whole_days_within_bounds(string age) => Assert.Contains("is not from 1d to 3650d in whole days",
        Assert.Single(ConfigText.Faults(Listeners.Replace("redirect_from: 80", $"redirect_from: 80, hsts: {age}")
            + "tls: { acme: { names: [example.com] } }\n")));
}
