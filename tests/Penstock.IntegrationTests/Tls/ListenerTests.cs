using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>TLS on listeners, against the client of .NET: which certificate, which version, how it ends.</summary>
public sealed class ListenerTests : IAsyncDisposable
{
    private static readonly TestAuthority Authority = TestAuthority.Shared;

    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData("example.com", "example.com")]
    [InlineData("EXAMPLE.com", "example.com")]
    [InlineData("other.test", "other.test")]
    [InlineData("a.wild.test", "*.wild.test")]
    [InlineData("a.b.wild.test", "example.com")] // a wildcard stands for one label
    [InlineData("wild.test", "example.com")]
    [InlineData("nobody.test", "example.com")] // the first is the default
    public async Task Client_gets_the_certificate_of_the_name_it_asks_for(string name, string subject)
    {
        await using TestProxy proxy = Start(tls => tls with
        {
            Certificates =
            [
                Authority.Issue("example.com").Config(), Authority.Issue("other.test").Config(),
                Authority.Issue("*.wild.test").Config(),
            ],
        });

        using SslStream client = Connect(proxy, options => options.TargetHost = name);

        Assert.Equal($"CN={subject}, O=Test", client.RemoteCertificate!.Subject);
        Assert.Equal("ok", await GetAsync(client));
    }

    [Fact]
    public async Task Kind_of_key_is_the_one_that_the_client_can_use()
    {
        await using TestProxy proxy = Start(static tls => tls with
        {
            Certificates =
            [
                Authority.Issue("localhost").Config(), Authority.Issue(["localhost"], rsa: true).Config(),
            ],
        });

        Assert.Equal("1.2.840.10045.2.1", KeyOf(proxy, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256));
        Assert.Equal("1.2.840.113549.1.1.1", KeyOf(proxy, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
    }

    [Fact]
    public async Task Versions_are_1_2_and_1_3_or_only_1_3()
    {
        await using TestProxy both = Start(static tls => tls);
        await using TestProxy newest = Start(static tls => tls with { MinVersion = TlsVersion.Tls13 });

        foreach (SslProtocols version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
        {
            using SslStream client = Connect(both, options => options.EnabledSslProtocols = version);
            Assert.Equal(version, client.SslProtocol);
            Assert.Equal("ok", await GetAsync(client));
        }
        using SslStream other = Connect(newest, static _ => { });
        Assert.Equal(SslProtocols.Tls13, other.SslProtocol);
        Assert.ThrowsAny<Exception>(() => Connect(newest, static o => o.EnabledSslProtocols = SslProtocols.Tls12));
    }

    [Fact]
    public async Task Protocol_is_http_1_1_and_a_client_that_offers_only_others_is_rejected()
    {
        await using TestProxy proxy = Start(static tls => tls);

        using SslStream client = Connect(proxy, static options =>
            options.ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11]);

        Assert.Equal(SslApplicationProtocol.Http11, client.NegotiatedApplicationProtocol);
        Assert.ThrowsAny<Exception>(() => Connect(proxy, static options =>
            options.ApplicationProtocols = [SslApplicationProtocol.Http2]));
        await Eventually.TrueAsync(() => Handshakes(proxy, "failed") == 1, "the failure is counted");
    }

    [Fact]
    public async Task Large_bodies_pass_both_ways_and_backends_are_told_of_https()
    {
        byte[] sent = [.. Enumerable.Range(0, 3_000_000).Select(static i => (byte)(i * 7))];
        await using var backend = new ScriptedBackend(static async peer =>
        {
            BackendRequest request = (await peer.ReadRequestAsync())!;
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {request.Body.Length}\r\n"
                + $"X-Proto: {request["X-Forwarded-Proto"]}\r\n\r\n");
            await peer.SendAsync(request.Body);
        });
        await using TestProxy proxy = Start(static tls => tls, backend.Port);
        using var http = new HttpClient(TestTls.Handler());

        HttpResponseMessage response = await http.PostAsync(new Uri($"https://localhost:{PortOf(proxy)}/"),
            new ByteArrayContent(sent));

        Assert.Equal("https", string.Join(",", response.Headers.GetValues("X-Proto")));
        Assert.Equal(sent, await response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Plain_http_is_answered_with_a_sentence_and_garbage_is_not()
    {
        await using TestProxy proxy = Start(static tls => tls);
        using var plain = new TcpClient("127.0.0.1", PortOf(proxy));
        await plain.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());
        Assert.Contains("This port speaks HTTPS", await new StreamReader(plain.GetStream()).ReadToEndAsync());

        using var garbage = new TcpClient("127.0.0.1", PortOf(proxy));
        await garbage.GetStream().WriteAsync(new byte[] { 0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5 });
        Assert.DoesNotContain("HTTP", await ReadToEndAsync(garbage));
        await Eventually.TrueAsync(() => Handshakes(proxy, "failed") == 2, "both are counted");
    }

    [Fact]
    public async Task Handshake_that_does_not_go_on_is_closed_and_so_is_one_that_does_not_begin()
    {
        await using TestProxy proxy = Start(static tls => tls, change: static config => config with
        {
            Timeouts = config.Timeouts with { Handshake = TimeSpan.FromMilliseconds(300) },
        });
        using var silent = new TcpClient("127.0.0.1", PortOf(proxy));
        using var half = new TcpClient("127.0.0.1", PortOf(proxy));
        await half.GetStream().WriteAsync(new byte[] { 0x16, 3, 1, 2, 0, 1, 0, 1, 252 });

        Assert.Equal("", await ReadToEndAsync(silent));
        Assert.Equal("", await ReadToEndAsync(half));
        await Eventually.TrueAsync(() => Handshakes(proxy, "timed_out") == 2, "both are counted");
    }

    [Fact]
    public async Task Response_without_a_length_ends_by_a_close_notify()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
        });
        await using TestProxy proxy = Start(static tls => tls, backend.Port);
        using SslStream client = Connect(proxy, static _ => { });

        await client.WriteAsync("GET / HTTP/1.0\r\nHost: a\r\n\r\n"u8.ToArray());

        Assert.EndsWith("all of it", await new StreamReader(client).ReadToEndAsync());
    }

    [Fact]
    public async Task Listener_without_tls_redirects_and_browsers_are_told_to_stay()
    {
        await using TestProxy proxy = Start(static tls => tls with { Hsts = TimeSpan.FromDays(365), RedirectFrom = 1 });
        using SslStream client = Connect(proxy, static _ => { });
        await client.WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());
        Assert.Equal("max-age=31536000",
            Wire.Field((await new Wire(client).ReadHeadAsync())!, "Strict-Transport-Security"));

        (int plain, int secure) = (FreePort(), FreePort());
        await using TestProxy both = Start(tls => tls with { RedirectFrom = plain }, change: config => config with
        {
            Listeners =
            [
                new(new IPEndPoint(IPAddress.Loopback, plain), "plain"),
                config.Listeners[0] with { Address = new IPEndPoint(IPAddress.Loopback, secure) },
            ],
        });
        using var http = new RawClient(new IPEndPoint(IPAddress.Loopback, plain));
        await http.SendAsync("POST /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nContent-Length: 2\r\n\r\nxx");
        RawResponse moved = (await http.ReadAsync())!;
        Assert.Equal(308, moved.Status);
        Assert.Equal($"https://example.com:{secure}/a/b?c=d", moved["Location"]);
        await http.SendAsync("GET http://[::1]:80/x HTTP/1.1\r\nHost: [::1]\r\n\r\n");
        Assert.Equal($"https://[::1]:{secure}/x", (await http.ReadAsync())!["Location"]);
    }

    [Fact]
    public async Task Reload_changes_the_certificate_of_new_connections_and_touches_no_other()
    {
        TestCertificate first = Authority.Issue("localhost"), second = Authority.Issue("localhost");
        await using TestProxy proxy = Start(tls => tls with { Certificates = [first.Config()] });
        using SslStream old = Connect(proxy, static _ => { });
        ProxyConfig config = proxy.Server.Config;

        proxy.Apply(config with
        {
            Listeners = [config.Listeners[0] with { Tls = new() { Certificates = [second.Config()] } }],
        });

        using SslStream next = Connect(proxy, static _ => { });
        Assert.Equal("ok", await GetAsync(old));
        Assert.Equal("ok", await GetAsync(next));
        using X509Certificate2 expected = second.Loaded();
        Assert.Equal(expected.GetCertHashString(), next.RemoteCertificate!.GetCertHashString());

        ProxyStartException wrong = Assert.Throws<ProxyStartException>(() => proxy.Apply(config with
        {
            Listeners = [config.Listeners[0] with
            {
                Tls = new() { Certificates = [second.Config() with { Key = first.Config().Key }] },
            }],
        }));
        Assert.Contains("the key of test.key does not belong to the certificate of test.crt", wrong.Message);
        using SslStream still = Connect(proxy, static _ => { });
        Assert.Equal(expected.GetCertHashString(), still.RemoteCertificate!.GetCertHashString());
    }

    [Fact]
    public async Task Handshake_that_has_begun_when_a_stop_begins_is_finished_and_its_request_is_answered()
    {
        await using TestProxy proxy = Start(static tls => tls);
        using var tcp = new TcpClient("127.0.0.1", PortOf(proxy));
        var slow = new SlowStream(tcp.GetStream());
        Task<SslStream> connecting = Task.Run(() => TestTls.Secure(slow));
        await slow.Answered.Task; // now it is the client's turn

        Task stop = proxy.Server.StopAsync();
        await Eventually.TrueAsync(() => !CanConnect(PortOf(proxy)), "the loop has begun to drain");
        slow.GoOn.SetResult();
        using SslStream client = await connecting;
        await client.WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());

        Assert.EndsWith("\r\n\r\nok", await new StreamReader(client).ReadToEndAsync());
        await stop.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static string KeyOf(TestProxy proxy, TlsCipherSuite suite)
    {
        using SslStream client = Connect(proxy, options =>
        {
            options.EnabledSslProtocols = SslProtocols.Tls12;
            options.CipherSuitesPolicy = new CipherSuitesPolicy([suite]);
        });
        return client.RemoteCertificate!.GetKeyAlgorithm();
    }

    private static long Handshakes(TestProxy proxy, string end) =>
        proxy.Server.ReadMetrics().Listeners.Sum(l => l.Handshakes.First(h => h.End == end).Count);

    private TestProxy Start(Func<ListenerTlsConfig, ListenerTlsConfig> tls, int port = 0,
        Func<ProxyConfig, ProxyConfig>? change = null)
    {
        ProxyConfig config = TestProxy.Config(port == 0 ? _backend.Port : port);
        config = config with { Listeners = [config.Listeners[0] with { Tls = tls(TestTls.Config) }] };
        return new(change is null ? config : change(config));
    }

    private static int PortOf(TestProxy proxy) => ((IPEndPoint)proxy.Server.EndPoints[^1]).Port;

    private static SslStream Connect(TestProxy proxy, Action<SslClientAuthenticationOptions> change) =>
        TestTls.Secure(new TcpClient("127.0.0.1", PortOf(proxy)).GetStream(), change);

    private static async Task<string> GetAsync(SslStream client)
    {
        await client.WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());
        var wire = new Wire(client);
        string head = (await wire.ReadHeadAsync())!;
        return Encoding.ASCII.GetString(await wire.ReadBodyAsync(head, isResponse: true, toHead: false));
    }

    private static async Task<string> ReadToEndAsync(TcpClient client)
    {
        try
        {
            return await new StreamReader(client.GetStream()).ReadToEndAsync();
        }
        catch (IOException)
        {
            return ""; // a reset
        }
    }

    private static bool CanConnect(int port)
    {
        try
        {
            using var client = new TcpClient("127.0.0.1", port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Sends the first message, and holds back what follows the answer to it.</summary>
    private sealed class SlowStream(NetworkStream stream) : Stream
    {
        private bool _began;

        public TaskCompletionSource Answered { get; } = new();
        public TaskCompletionSource GoOn { get; } = new();
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int received = stream.Read(buffer, offset, count);
            Answered.TrySetResult();
            return received;
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (_began)
            {
                GoOn.Task.Wait();
            }
            stream.Write(buffer, offset, count);
            _began = true;
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            stream.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(
            ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            stream.WriteAsync(buffer, cancellationToken);

        public override void Flush() => stream.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
