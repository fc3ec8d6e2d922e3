using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>The keys of health checks and of ejection.</summary>
public sealed class HealthConfigTests
{
    [Fact]
    public void Every_setting_of_a_check_is_read() =>
        Assert.Equal(
            new HealthCheckConfig
            {
                Path = "/up?deep=1",
                Method = "OPTIONS",
                Fields = [new("Host", "app.internal"), new("Authorization", "Bearer x: y")],
                ExpectStatus = [new(200, 299), new(302, 302), new(401, 401), new(500, 599)],
                ExpectBody = "all good",
                Interval = TimeSpan.FromSeconds(4),
                FastInterval = TimeSpan.FromSeconds(3),
                Timeout = TimeSpan.FromSeconds(2),
                Rise = 5,
                Fall = 6,
                Initial = InitialHealth.Down,
            },
            Check("""
                { path: "/up?deep=1", method: options, headers: { Host: app.internal, Authorization: "Bearer x: y" },
                  expect: { status: [200-299, 302, 401-401, 5xx], body: all good },
                  interval: 4s, fast_interval: 3s, timeout: 2s, rise: 5, fall: 6, initial: down }
                """));

    [Fact]
    public void Session_cookies_have_a_name_for_each_upstream_and_a_shared_one_is_warned_of()
    {
        const string Text = "upstreams:\n  web: { backends: a:1, sticky: { secret: 0123456789abcdef@ } }\n"
            + "  api: { backends: a:2, sticky: { secret: 0123456789abcdef } }\n"
            + "routes: [{ path: /api/*, upstream: api }, { upstream: web }]\n";
        PenstockConfig config = ConfigText.Load(Text.Replace("@", "", StringComparison.Ordinal));
        Assert.Equal(["penstock-web", "penstock-api"],
            config.Proxy.Upstreams.Select(static u => u.Sticky!.CookieOf(u.Name)));
        Assert.Contains(ConfigText.Faults(Text.Replace("@", ", cookie: penstock-api", StringComparison.Ordinal)),
            static f => f.StartsWith("warning", StringComparison.Ordinal)
                && f.Contains("upstreams 'web' and 'api' both name their session cookie 'penstock-api'",
                    StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("204", 204, 204)]
    [InlineData("2xx", 200, 299)]
    [InlineData("\"200-399\"", 200, 399)]
    public void Single_status_counts_as_a_list(string text, int from, int to) =>
        Assert.Equal([new(from, to)], Check($"{{ path: /, expect: {{ status: {text} }} }}")!.ExpectStatus);

    [Fact]
    public void Checks_that_are_written_alike_are_equal()
    {
        const string Text = "{ path: /, headers: { A: b }, expect: { status: [200, 300-301] } }";
        Assert.Equal(Check(Text), Check(Text));
        Assert.Equal(Check(Text)!.GetHashCode(), Check(Text)!.GetHashCode());
        Assert.NotEqual(Check(Text), Check(Text.Replace("301", "302", StringComparison.Ordinal)));
        Assert.NotEqual(Check(Text), Check(Text.Replace("A: b", "A: c", StringComparison.Ordinal)));
        Assert.NotEqual(Check(Text), Check(Text.Replace("200, ", "", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("{ path: /, expect: { status: 99 } }",
        "'99' is not a status | write 204, 200-299 or 2xx, from 200 to 599")]
    [InlineData("{ path: /, expect: { status: 1xx } }",
        "'1xx' is not a status | write 204, 200-299 or 2xx, from 200 to 599")]
    [InlineData("{ path: /, expect: { status: 300-200 } }", "'300-200' is an empty range | write 200-300")]
    [InlineData("{ path: /, expect: { status: [] } }",
        "'status' is empty: no backend could ever pass | write 200-399, or leave it out")]
    [InlineData("{ path: /, expect: { body: \"\" } }",
        "'body' is empty: every body contains an empty text | write a text, or leave it out")]
    [InlineData("{ path: /, method: HEAD, expect: { body: ok } }",
        "the response to HEAD has no body | write method: GET, or remove expect.body")]
    [InlineData("{ path: /, method: CONNECT }", "CONNECT asks for a tunnel | write GET, HEAD or OPTIONS")]
    [InlineData("{ path: /, headers: { Content-Length: 5 } }",
        "'Content-Length' cannot be set, because a check sends one request without a body | ")]
    [InlineData("{ path: /, headers: { X: \"a\\r\\nb\" } }",
        "'a??b' is not allowed in a header field | write printable ASCII")]
    [InlineData("{ path: /, initial: unknown }", "unknown value 'unknown' | write check or up or down")]
    [InlineData("{ type: tcp, method: GET }", "a tcp check has no 'method' | remove it, or write type: http")]
    [InlineData("{ type: tcp, expect: { status: 200 } }",
        "a tcp check has no 'expect' | remove it, or write type: http")]
    [InlineData("{ path: /, fast_interval: 3s }",
        "the fast interval is longer than the interval: a failing backend is checked less often than a "
        + "healthy one | ")]
    public void Faults_are_told(string check, string expected)
    {
        Diagnostic fault = Assert.Single(ConfigText.Parse($"backends: [a:1]\nhealth_check: {check}").Diagnostics);
        Assert.EndsWith(expected, $"{fault.Message} | {fault.Hint}", StringComparison.Ordinal);
    }

    [Fact]
    public void Every_setting_of_ejection_is_read() =>
        Assert.Equal(
            new PassiveHealthConfig
            {
                ConsecutiveErrors = 7,
                ErrorSharePercent = 20,
                LatencyFactor = 2.5,
                LatencyFloor = TimeSpan.FromMilliseconds(20),
                MinRequests = 10,
                Window = TimeSpan.FromSeconds(5),
                EjectionTime = TimeSpan.FromSeconds(1),
                MaxEjectionTime = TimeSpan.FromSeconds(60),
                MaxEjectedPercent = 34,
                PanicThresholdPercent = 60,
            },
            Passive("""
                { consecutive_errors: 7, error_share: 20%, latency_factor: 2.5, latency_floor: 20ms, min_requests: 10,
                  window: 5s, ejection_time: 1s, max_ejection_time: 60s, max_ejected: 34%, panic_threshold: 60 % }
                """));

    [Fact]
    public void Rules_of_ejection_can_be_off_one_by_one() =>
        Assert.Equal(
            new PassiveHealthConfig
            {
                ConsecutiveErrors = 0, ErrorSharePercent = 0, LatencyFactor = 0, PanicThresholdPercent = 0,
            },
            Passive("{ consecutive_errors: off, error_share: off, latency_factor: off, panic_threshold: off }"));

    [Fact]
    public void Ejection_is_on_until_it_is_off()
    {
        Assert.Equal(new PassiveHealthConfig(), ConfigText.Load("backends: [a:1]").Proxy.Upstreams[0].PassiveHealth);
        Assert.Equal(new PassiveHealthConfig(), Passive("{}"));
        Assert.Null(Passive("off"));
        Assert.Null(Passive("false"));
    }

    [Theory]
    [InlineData("{ error_share: 50 }", "'50' is not a whole number of percent | write 1% to 100%, or off")]
    [InlineData("{ error_share: 0% }", "'0%' is not a whole number of percent | write 1% to 100%, or off")]
    [InlineData("{ error_share: 12.5% }", "'12.5%' is not a whole number of percent | write 1% to 100%, or off")]
    [InlineData("{ latency_factor: 1 }", "'1' is not a number from 1.5 to 100 | write a number, or off")]
    [InlineData("{ consecutive_errors: 0 }", "'0' is not a number from 1 to 1000 | write a number, or off")]
    [InlineData("{ max_ejection_time: 5s }",
        "max_ejection_time is shorter than ejection_time | raise max_ejection_time, or lower ejection_time")]
    [InlineData("{ max_ejected: 33% }",
        "33% of 3 backends is less than one: none is ever ejected | write 34% or more, or passive_health: off")]
    public void Faults_of_ejection_are_told(string passive, string expected)
    {
        Diagnostic fault = Assert.Single(ConfigText.Parse(
            $"backends: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3]\npassive_health: {passive}").Diagnostics);
        Assert.EndsWith(expected, $"{fault.Message} | {fault.Hint}", StringComparison.Ordinal);
    }

    private static PassiveHealthConfig? Passive(string text) =>
        ConfigText.Load($"backends: [a:1]\npassive_health: {text}").Proxy.Upstreams[0].PassiveHealth;

    private static HealthCheckConfig? Check(string text) =>
        ConfigText.Load($"backends: [a:1]\nhealth_check: {text}").Proxy.Upstreams[0].HealthCheck;
}
