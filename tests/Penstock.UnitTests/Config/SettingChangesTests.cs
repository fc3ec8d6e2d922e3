using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class SettingChangesTests
{
    private const string Before = """
        limits: { default: { capacity: 100, rate: 100/s }, old: { capacity: 1, rate: 1/s } }
        admin: { token: one }
        upstreams:
          web:
            backends: [10.0.0.1:80, { url: 10.0.0.2:80, weight: 2 }]
            health_check: { path: /health }
        routes:
          - { path: /a/*, upstream: web }
          - { upstream: web }
        timeouts: { connect: 1000ms }
        """;

    [Theory]
    [InlineData("", "")]
    [InlineData("rate: 100/s", "rate: 50/s", "~ limits.default.rate 100/s -> 50/s")]
    [InlineData("[10.0.0.1:80,", "[10.0.0.3:80, 10.0.0.1:80,", "+ backend web/10.0.0.3:80")]
    [InlineData("10.0.0.1:80, ", "", "- backend web/10.0.0.1:80")]
    [InlineData("10.0.0.1:80, ", "{ url: 10.0.0.1:80, backup: true }, ",
        "~ backend web/10.0.0.1:80.backup false -> true")]
    [InlineData("10.0.0.1:80, ", "\"http://10.0.0.1\", ")] // another spelling of the same address
    [InlineData("{ url: 10.0.0.2:80, weight: 2 }", "10.0.0.2:80", "~ backend web/10.0.0.2:80.weight 2 -> 1")]
    [InlineData(", old: { capacity: 1, rate: 1/s }", "", "- limits.old { capacity: 1, rate: 1/s }")]
    [InlineData("/a/*,", "/b/*,", "- routes { path: /a/*, upstream: web }", "+ routes { path: /b/*, upstream: web }")]
    [InlineData("{ path: /health }", "off", "~ upstreams.web.health_check { path: /health } -> off")]
    [InlineData("1000ms", "1s")]
    [InlineData("{ connect: 1000ms }", "{}", "~ timeouts.connect 1000ms -> 2s")]
    [InlineData("timeouts: { connect: 1000ms }", "", "~ timeouts.connect 1000ms -> 2s")]
    [InlineData("token: one", "token: two", "~ admin.token (a secret)")]
    [InlineData("10.0.0.1:80, { url: 10.0.0.2:80, weight: 2 }", "{ url: 10.0.0.2:80, weight: 2 }, 10.0.0.1:80",
        "~ upstreams.web.backends in another order")]
    [InlineData("routes:", "loops: 2\nroutes:", "~ loops auto -> 2")]
    public void Change_is_one_line(string part, string other, params string[] expected)
    {
        string after = part.Length == 0 ? Before : Before.Replace(part, other, StringComparison.Ordinal);

        Assert.Equal(expected, SettingChanges.Between(
            ConfigText.Load(Before).Settings, ConfigText.Load(after).Settings));
    }
}
