using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>The list of the values in force, as <c>config show</c> and <c>GET /config</c> show it.</summary>
public sealed class SettingsTests
{
    [Fact]
    public void Each_value_has_its_origin()
    {
        Dictionary<string, string> shown = Shown("""
            listen: "0.0.0.0:${PORT}"
            backends:
              - a:1
              - { url: b:2, weight: 3 }
            timeouts: { connect: 3s }
            """, new() { ["PORT"] = "8081" });

        Assert.Equal("0.0.0.0:8081 from penstock.yaml:1 ($PORT)", shown["listen[0].address"]);
        Assert.Equal("a:1 from penstock.yaml:3", shown["backends[0].url"]);
        Assert.Equal("1 from default", shown["backends[0].weight"]);
        Assert.Equal("3 from penstock.yaml:4", shown["backends[1].weight"]);
        Assert.Equal("3s from penstock.yaml:5", shown["timeouts.connect"]);
        Assert.Equal("10s from default", shown["timeouts.head"]);
        Assert.Equal("5 from default", shown["passive_health.consecutive_errors"]);
        Assert.Equal("header:X-API-Key from default", shown["clients.identify[0]"]);
        Assert.DoesNotContain("upstreams", shown.Keys);
    }

    [Fact]
    public void Keys_of_a_single_upstream_are_not_shown_where_there_are_several()
    {
        Dictionary<string, string> shown = Shown("upstreams: { web: { backends: [a:1], retries: off } }");

        Assert.DoesNotContain("balance", shown.Keys);
        Assert.Equal("round_robin from default", shown["upstreams.web.balance"]);
        Assert.Equal("off from penstock.yaml:1", shown["upstreams.web.retries"]);
        Assert.Equal("1024 from default", shown["upstreams.web.queue.length"]);
    }

    [Fact]
    public void Short_form_of_an_upstream_is_shown_as_its_backends()
    {
        Dictionary<string, string> shown = Shown("upstreams:\n  web:\n  - a:1\n  - { url: b:1, weight: 2 }");

        Assert.Equal("a:1 from penstock.yaml:3", shown["upstreams.web.backends[0].url"]);
        Assert.Equal("2 from penstock.yaml:4", shown["upstreams.web.backends[1].weight"]);
        Assert.Equal("round_robin from default", shown["upstreams.web.balance"]);
    }

    [Fact]
    public void Secrets_are_hidden()
    {
        string text = SettingsText.Write(ConfigText.Load("""
            admin: { token: s3cr3t }
            store: postgres://me:s3cr3t@db/penstock
            upstreams:
              web:
                backends: [a:1]
                sticky: { secret: s3cr3ts3cr3ts3cr3t }
                health_check: { path: /a/*, headers: { Authorization: Bearer s3cr3t } }
            routes:
              - path: /a/*
                upstream: web
                query: { sid_session: s3cr3t }
                request_headers: { set: { X-Api-Key: s3cr3t, Cookie: [a=s3cr3t, b] }, add: { X-From: "${S}" } }
              - { upstream: web }
            """, environment: new() { ["S"] = "s3cr3t" }).Settings, withDefaults: true);

        Assert.DoesNotContain("s3cr3t", text);
        Assert.Contains("/a/*", text);
        Assert.Contains("@db/penstock", text);
    }

    /// <summary>Nothing is left out: the list of all values is a configuration that means the same.</summary>
    [Theory]
    [InlineData(EveryKey.Full, false)]
    [InlineData(EveryKey.Full, true)]
    [InlineData(EveryKey.Flat, false)]
    [InlineData(EveryKey.Flat, true)]
    [InlineData(ConfigText.Example, true)]
    public void Text_can_be_read_again_and_means_the_same(string text, bool withDefaults)
    {
        PenstockConfig before = ConfigText.Load(text);
        string secrets = SettingsText.Write(before.Settings, withDefaults);

        PenstockConfig after = ConfigText.Load(secrets.Replace("token: '***'", "token: abc", StringComparison.Ordinal)
            .Replace("secret: '***'", "secret: 0123456789abcdef", StringComparison.Ordinal)
            .Replace("hmac_key: '***'", "hmac_key: c2VjcmV0LW9uZQ", StringComparison.Ordinal)
            .Replace("sha256: '***'", $"sha256: {EveryKey.TokenHash}", StringComparison.Ordinal));

        Assert.Equal(ConfigText.Describe(before), ConfigText.Describe(after));
        Assert.Empty(SettingChanges.Between(before.Settings, after.Settings));
    }

    private static Dictionary<string, string> Shown(string text, Dictionary<string, string>? environment = null) =>
        ConfigText.Load(text, environment: environment).Settings
            .SelectMany(static setting => setting.Leaves(setting.Name))
            .ToDictionary(static leaf => leaf.Path, static leaf => $"{leaf.Setting.Text} from {leaf.Setting.Origin}");
}
