using System.Globalization;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Requests that must go to a certain backend: sticky sessions, hash, drain.</summary>
public sealed class SessionTests
{
    [Fact]
    public async Task Session_stays_with_its_backend_and_moves_when_that_is_gone()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        await using var proxy = new TestProxy(Sticky(first, second));
        RawResponse begin = await proxy.GetAsync();
        string cookie = Cookie(begin);
        Assert.EndsWith("; Path=/; HttpOnly; SameSite=Lax", begin["Set-Cookie"], StringComparison.Ordinal);
        for (int i = 0; i < 10; i++)
        {
            RawResponse next = await proxy.GetAsync("/", $"Cookie: a=b; {cookie}; c=d\r\n");
            Assert.Equal(begin.Text, next.Text);
            Assert.Null(next["Set-Cookie"]);
        }

        string address = Backend(proxy, begin.Text == "first" ? first : second);
        proxy.Server.SetBackend("web", address, BackendState.Maintenance, null);
        RawResponse moved = await proxy.GetAsync("/", $"Cookie: {cookie}\r\n");
        Assert.NotEqual(begin.Text, moved.Text);
        Assert.NotEqual(cookie, Cookie(moved));
        Assert.Equal(moved.Text, (await proxy.GetAsync("/", $"Cookie: {Cookie(moved)}\r\n")).Text);
    }

    [Fact]
    public async Task Two_upstreams_of_one_host_have_sessions_beside_each_other()
    {
        ScriptedBackend[] backends = [.. Enumerable.Range(0, 4).Select(static n => ScriptedBackend.Always($"{n}"))];
        ProxyConfig web = Sticky(backends[0], backends[1]);
        UpstreamConfig api = Sticky(backends[2], backends[3]).Upstreams[0] with { Name = "api" };
        await using var proxy = new TestProxy(web with
        {
            Upstreams = [web.Upstreams[0], api],
            Routes = [new RouteConfig { Path = "/api/*", Upstream = "api" }, new RouteConfig { Upstream = "web" }],
        });
        var jar = new Dictionary<string, string>(StringComparer.Ordinal); // as a browser's: by name
        var seen = new HashSet<string>();
        int begun = 0;
        for (int i = 0; i < 12; i++)
        {
            string cookies = string.Join("; ", jar.Select(static c => $"{c.Key}={c.Value}"));
            RawResponse response = await proxy.GetAsync(i % 2 == 0 ? "/" : "/api/x",
                cookies.Length == 0 ? "" : $"Cookie: {cookies}\r\n");
            seen.Add(response.Text);
            if (response["Set-Cookie"] is { } set)
            {
                string[] pair = set.Split(';')[0].Split('=', 2);
                jar[pair[0]] = pair[1];
                begun++;
            }
        }
        Assert.Equal((2, 2), (begun, seen.Count));
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }
    }

    [Fact]
    public async Task Session_is_found_behind_other_cookies_of_its_name()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        await using var proxy = new TestProxy(Sticky(first, second));
        RawResponse begin = await proxy.GetAsync();
        for (int i = 0; i < 4; i++)
        {
            RawResponse next = await proxy.GetAsync("/",
                $"Cookie: penstock-web=of-another-path; {Cookie(begin)}\r\n");
            Assert.Equal(begin.Text, next.Text);
        }
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Session_outlives_a_renamed_upstream_that_keeps_the_cookies_name()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        ProxyConfig before = Sticky(first, second);
        await using var proxy = new TestProxy(before);
        RawResponse begin = await proxy.GetAsync();
        proxy.Apply(before with
        {
            Upstreams = [before.Upstreams[0] with
            {
                Name = "site",
                Sticky = before.Upstreams[0].Sticky! with { Cookie = "penstock-web" },
            }],
            Routes = [new RouteConfig { Upstream = "site" }],
        });
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(begin.Text, (await proxy.GetAsync("/", $"Cookie: {Cookie(begin)}\r\n")).Text);
        }
    }

    [Fact]
    public async Task Cookie_that_was_made_up_is_no_session()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        await using var proxy = new TestProxy(Sticky(first, second));
        foreach (string value in new[] { "127.0.0.1:1", "", "AAAAAAAAAAAAAAAAAAAAAA", "\"x\"" })
        {
            Assert.NotNull((await proxy.GetAsync("/", $"Cookie: penstock-web={value}\r\n"))["Set-Cookie"]);
        }
    }

    [Fact]
    public async Task Drain_cuts_no_session_takes_no_new_client_and_says_when_it_is_done()
    {
        var release = new TaskCompletionSource();
        await using var first = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.Contains("/slow", StringComparison.Ordinal))
                {
                    await release.Task;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
            }
        });
        await using var second = ScriptedBackend.Always("second");
        await using var proxy = new TestProxy(Sticky(first, second));
        string cookie = await SessionAtAsync(proxy, "first");
        Task<RawResponse> slow = proxy.GetAsync("/slow", $"Cookie: {cookie}\r\n");
        await Eventually.TrueAsync(() => first.Heads.Any(
            static h => h.StartsWith("GET /slow", StringComparison.Ordinal)), "a slow request is under way");

        string address = Backend(proxy, first);
        Assert.False(proxy.Server.SetBackend("web", address, BackendState.Drain, null)!.Drained);
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("second", (await proxy.GetAsync()).Text);
            Assert.Equal("first", (await proxy.GetAsync("/", $"Cookie: {cookie}\r\n")).Text);
        }
        Assert.False(Status(proxy, address).Drained);
        release.SetResult();
        Assert.Equal("first", (await slow).Text);
        await Eventually.TrueAsync(() => Status(proxy, address).Drained, "no session came for 300 ms: it is drained");

        Assert.Equal(BackendState.Ready, proxy.Server.SetBackend("web", address, BackendState.Ready, null)!.State);
        Assert.Contains("first", new[] { (await proxy.GetAsync()).Text, (await proxy.GetAsync()).Text });
        await proxy.AssertQuietAsync();
    }

    [Theory]
    [InlineData(HashSource.Header, "X-User", "X-User: {0}\r\n", "/")]
    [InlineData(HashSource.Cookie, "user", "Cookie: x=y; user={0}\r\n", "/")]
    [InlineData(HashSource.Query, "user", "", "/?x=y&user={0}")]
    [InlineData(HashSource.Path, "", "", "/{0}?x=y")]
    public async Task Hash_sends_a_key_to_one_backend_and_keys_to_all(
        HashSource source, string name, string fields, string target)
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        ProxyConfig config = TestProxy.Config(first.Port, second.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Balance = BalanceAlgorithm.Hash,
                Hash = new HashConfig { Source = source, Name = name },
            }],
        });
        var seen = new HashSet<string>();
        for (int key = 0; key < 16; key++)
        {
            string keyed = string.Format(CultureInfo.InvariantCulture, fields, key);
            string path = string.Format(CultureInfo.InvariantCulture, target, key);
            string once = (await proxy.GetAsync(path, keyed)).Text;
            Assert.Equal(once, (await proxy.GetAsync(path, keyed)).Text);
            seen.Add(once);
        }
        Assert.Equal(2, seen.Count);
    }

    private static async Task<string> SessionAtAsync(TestProxy proxy, string body)
    {
        RawResponse response = await proxy.GetAsync();
        return Cookie(response.Text == body ? response : await proxy.GetAsync());
    }

    private static string Cookie(RawResponse response) => response["Set-Cookie"]!.Split(';')[0];

    private static string Backend(TestProxy proxy, ScriptedBackend backend) => proxy.Server.Upstreams()[0].Backends
        .Single(b => b.Address.EndsWith($":{backend.Port}", StringComparison.Ordinal)).Address;

    private static BackendStatus Status(TestProxy proxy, string address) =>
        proxy.Server.Upstreams()[0].Backends.Single(b => b.Address == address);

    private static ProxyConfig Sticky(params ScriptedBackend[] backends)
    {
        ProxyConfig config = TestProxy.Config([.. backends.Select(static b => b.Port)]);
        return config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Sticky = new StickyConfig { Secret = "0123456789abcdef", Idle = TimeSpan.FromMilliseconds(300) },
            }],
        };
    }
}
