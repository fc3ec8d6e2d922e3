using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>A browser accepts what a listener shows: names, kinds of keys, versions.</summary>
public sealed class BrowserTests : IAsyncDisposable
{
    private const string Page = """
        <p id=told></p><script>
        told.textContent = [isSecureContext, performance.getEntriesByType('navigation')[0].nextHopProtocol].join(' ')
        </script>
        """;

    private readonly ScriptedBackend _backend = new(static async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            await peer.SendAsync(
                $"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {Page.Length}\r\n\r\n{Page}");
        }
    });

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData("example.com", false)]
    [InlineData("example.com", true)]
    [InlineData("a.wild.test", false)]
    [InlineData("other.test", false)]
    public async Task Chromium_trusts_the_certificate_of_the_name(string name, bool only13)
    {
        await using TestProxy proxy = Start(only13 ? TlsVersion.Tls13 : TlsVersion.Tls12);

        Assert.Contains("true http/1.1</p>", await OpenAsync(proxy, name));
    }

    [Fact]
    public async Task Chromium_does_not_show_the_page_of_a_name_without_a_certificate()
    {
        await using TestProxy proxy = Start(TlsVersion.Tls12);

        Assert.Equal("", await OpenAsync(proxy, "nobody.test"));
        Assert.Empty(_backend.Heads);
    }

    private static async Task<string> OpenAsync(TestProxy proxy, string name)
    {
        Assert.SkipUnless(Chromium.IsInstalled, "Chromium is not installed: apt-get install chromium libnss3-tools");
        using var chromium = new Chromium();
        await chromium.TrustAsync(TestAuthority.Shared.Pem);
        return await chromium.OpenAsync($"https://{name}:{proxy.Url.Port}/");
    }

    private TestProxy Start(TlsVersion oldest)
    {
        ProxyConfig config = TestProxy.Config(_backend.Port);
        TestAuthority authority = TestAuthority.Shared;
        return new(config with
        {
            Listeners = [config.Listeners[0] with
            {
                Tls = new()
                {
                    MinVersion = oldest,
                    Certificates =
                    [
                        authority.Issue("example.com").Config(),
                        authority.Issue(["example.com"], rsa: true).Config(),
                        authority.Issue("*.wild.test").Config(),
                        authority.Issue(["other.test"], rsa: true).Config(),
                    ],
                },
            }],
        });
    }
}
