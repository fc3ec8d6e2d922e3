using System.Net;
using System.Net.Sockets;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class ConfigLoaderTests
{
    public const string Json = """
        {
          // the same as the YAML
          "listen": "0.0.0.0:8080",
          "admin": { "listen": "127.0.0.1:9800", "token": "${PENSTOCK_TOKEN:-}" },
          "clients": {
            "identify": ["header:X-API-Key", "header:X-Client-ID", "query:client_id", "address"],
            "unknown": "address", "trusted_proxies": ["10.0.0.0/8"], "ipv6_prefix": 64,
          },
          "limits": { "default": { "capacity": 100, "rate": "10/s" } },
          "store": "sqlite:penstock.db",
          "upstreams": { "web": {
            "balance": "round_robin",
            "backends": [
              "http://127.0.0.1:9001",
              { "url": "http://127.0.0.1:9002", "weight": 2, "max_connections": 100, "backup": false },
            ],
            "health_check": { "path": "/health", "interval": "2s", "timeout": "1s", "rise": 2, "fall": 3 },
          } },
          "routes": [
            { "host": "api.example.com", "path": "/v1/*", "upstream": "web", "limit": "default" },
            { "upstream": "web" },
          ],
          "timeouts": { "connect": "2s", "head": "10s", "response": "60s", "idle": "90s", "shutdown": "30s" },
          "loops": "auto",
          "access_log": "stdout",
        }
        """;

    [Fact]
    public void Example_loads_with_every_value_as_written()
    {
        PenstockConfig config = ConfigText.Load(ConfigText.Example);
        ProxyConfig proxy = config.Proxy;

        Assert.Equal("penstock.yaml", config.File);
        Assert.Equal("sqlite:penstock.db", config.Store);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:9800"), config.Admin.Listen);
        Assert.Equal("", config.Admin.Token);
        Assert.Equal([new(IPEndPoint.Parse("0.0.0.0:8080"), "0.0.0.0:8080")], proxy.Listeners);
        Assert.Equal("header:X-API-Key header:X-Client-ID query:client_id address",
            string.Join(' ', proxy.Clients.Identify));
        Assert.Equal([IPNetwork.Parse("10.0.0.0/8")], proxy.Clients.TrustedProxies);
        Assert.Equal(new LimitConfig(100, 10), Assert.Single(proxy.Limits).Value);
        UpstreamConfig web = Assert.Single(proxy.Upstreams);
        Assert.Equal("web", web.Name);
        Assert.Equal(
            [
                new() { Host = "127.0.0.1", Port = 9001 },
                new() { Host = "127.0.0.1", Port = 9002, Weight = 2, MaxConnections = 100 },
            ],
            web.Backends);
        Assert.Equal(new HealthCheckConfig { Path = "/health" }, web.HealthCheck);
        Assert.Equal(
            [
                new() { Host = "api.example.com", Path = "/v1/*", Upstream = "web", Limits = ["default"] },
                new() { Upstream = "web" },
            ],
            proxy.Routes);
        Assert.Equal(new TimeoutsConfig(), proxy.Timeouts);
        Assert.Equal((0, new AccessLogConfig()), (proxy.Loops, proxy.AccessLog));
    }

    [Fact]
    public void Json_loads_the_same_as_yaml() =>
        Assert.Equal(ConfigText.Describe(ConfigText.Load(ConfigText.Example)),
            ConfigText.Describe(ConfigText.Load(Json, "penstock.json")));

    [Fact]
    public void Keys_match_without_case_dashes_and_underscores() =>
        Assert.Equal(ConfigText.Describe(ConfigText.Load(ConfigText.Example)),
            ConfigText.Describe(ConfigText.Load(ConfigText.Example
                .Replace("max_connections", "maxConnections", StringComparison.Ordinal)
                .Replace("health_check", "Health-Check", StringComparison.Ordinal)
                .Replace("listen", "LISTEN", StringComparison.Ordinal))));

    [Fact]
    public void Flat_form_is_one_upstream_and_a_route_for_everything()
    {
        ProxyConfig proxy = ConfigText.Load("""
            listen: :8081
            backends: [http://127.0.0.1:9001, { url: "127.0.0.1:9002", backup: true }]
            balance: p2c
            health_check: { path: "/up?x=1", interval: 5s }
            limits:
              default: { capacity: 5, rate: 30/m }
            """).Proxy;

        UpstreamConfig upstream = Assert.Single(proxy.Upstreams);
        Assert.Equal(("default", BalanceAlgorithm.PowerOfTwo), (upstream.Name, upstream.Balance));
        Assert.Equal(["127.0.0.1:9001", "127.0.0.1:9002"], upstream.Backends.Select(b => b.Address));
        Assert.Equal([false, true], upstream.Backends.Select(b => b.Backup));
        Assert.Equal(new() { Path = "/up?x=1", Interval = TimeSpan.FromSeconds(5) }, upstream.HealthCheck);
        Assert.Equal([new() { Upstream = "default" }], proxy.Routes);
        Assert.Equal(new LimitConfig(5, 0.5), proxy.Limits["default"]);
    }

    [Fact]
    public void Everything_but_backends_has_a_default()
    {
        PenstockConfig config = ConfigText.Load("backends: http://127.0.0.1:9001");

        Assert.Equal([new(IPEndPoint.Parse("0.0.0.0:8080"), "0.0.0.0:8080")], config.Proxy.Listeners);
        Assert.Null(config.Proxy.Upstreams[0].HealthCheck);
        Assert.Empty(config.Proxy.Limits);
        Assert.Equal(new AdminConfig(), config.Admin);
        Assert.Equal("sqlite:penstock.db", config.Store);
        Assert.Equal(new ClientsConfig().Identify, config.Proxy.Clients.Identify);
    }

    [Fact]
    public void Single_upstream_without_routes_takes_everything() =>
        Assert.Equal([new() { Upstream = "web" }],
            ConfigText.Load("upstreams: { web: { backends: [\"a:1\"] } }\nroutes:").Proxy.Routes);

    [Fact]
    public void Listen_may_be_a_list()
    {
        IReadOnlyList<ListenerConfig> listeners = ConfigText.Load("""
            listen: [8080, unix:/run/p.sock, ":0", ":0"]
            backends: [a:1]
            """).Proxy.Listeners;

        Assert.Equal(["8080", "unix:/run/p.sock", ":0", ":0"], listeners.Select(l => l.Text));
        Assert.IsType<UnixDomainSocketEndPoint>(listeners[1].Address);
    }

    [Theory]
    [InlineData("off", false)]
    [InlineData("false", false)]
    [InlineData("tcp", true)]
    [InlineData("{ type: tcp }", true)]
    public void Health_check_short_forms_are_read(string text, bool checksByConnecting) =>
        Assert.Equal(checksByConnecting ? new HealthCheckConfig() : null,
            ConfigText.Load($"backends: [a:1]\nhealth_check: {text}").Proxy.Upstreams[0].HealthCheck);

    [Theory]
    [InlineData("admin: off", null, "")]
    [InlineData("admin: false", null, "")]
    [InlineData("admin: { listen: \"[::1]:1\" }", "[::1]:1", "")]
    [InlineData("admin: { listen: \"0.0.0.0:1\", token: secret }", "0.0.0.0:1", "secret")]
    public void Admin_is_read(string line, string? listen, string token) =>
        Assert.Equal(new AdminConfig { Listen = listen is null ? null : IPEndPoint.Parse(listen), Token = token },
            ConfigText.Load("backends: [a:1]\n" + line).Admin);

    [Fact]
    public void Admin_and_a_listener_may_both_ask_for_a_free_port() =>
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:0"), ConfigText.Load("""
            listen: 127.0.0.1:0
            admin: { listen: 127.0.0.1:0 }
            backends: [a:1]
            """).Admin.Listen);

    [Fact]
    public void Admin_on_unix_socket_needs_no_token() =>
        Assert.IsType<UnixDomainSocketEndPoint>(
            ConfigText.Load("backends: [a:1]\nadmin: { listen: unix:/run/admin.sock }").Admin.Listen);

    [Fact]
    public void Clients_and_the_rest_are_read()
    {
        PenstockConfig config = ConfigText.Load("""
            backends: [a:1]
            clients:
              { identify: query:id, unknown: own, trusted_proxies: "::1", ipv6_prefix: 48, max_tracked: 10,
                save_unregistered: true }
            timeouts: { connect: 1s, head: 2s, response: 3s, idle: 4s, shutdown: 5s }
            loops: 3
            access_log: /var/log/penstock.log
            store: sqlite:/var/lib/penstock.db
            """);

        (ClientsConfig clients, TimeoutsConfig timeouts) = (config.Proxy.Clients, config.Proxy.Timeouts);
        Assert.Equal([new(IdentityKind.Query, "id")], clients.Identify);
        Assert.Equal([IPNetwork.Parse("::1/128")], clients.TrustedProxies);
        Assert.Equal((UnknownClients.Own, 48, 10), (clients.Unknown, clients.Ipv6Prefix, clients.MaxTracked));
        Assert.Equal([1, 2, 3, 4, 5], new[]
        {
            timeouts.Connect, timeouts.Head, timeouts.Response, timeouts.Idle, timeouts.Shutdown,
        }.Select(t => t.TotalSeconds));
        Assert.True(clients.SaveUnregistered);
        Assert.Equal((3, "/var/log/penstock.log", "sqlite:/var/lib/penstock.db"),
            (config.Proxy.Loops, config.Proxy.AccessLog.To.Address, config.Store));
    }

    [Fact]
    public void Proxy_protocol_is_read_on_both_sides()
    {
        ProxyConfig config = ConfigText.Load("""
            listen: [":80", { address: ":81", proxy_protocol: true }]
            clients: { trusted_proxies: 10.0.0.0/8 }
            upstreams:
              a: { backends: [a:1], send_proxy: v1 }
              b: { backends: [b:1], send_proxy: v2 }
            routes: [{ path: /a, upstream: a }, { upstream: b }]
            """).Proxy;
        Assert.Equal([false, true], config.Listeners.Select(static l => l.ProxyProtocol));
        Assert.Equal([1, 2], config.Upstreams.Select(static u => u.SendProxyVersion));
        Assert.StartsWith("error 2:1+6 proxy_protocol needs clients.trusted_proxies", Assert.Single(
            ConfigText.Faults("backends: [a:1]\nlisten: [{ address: ':81', proxy_protocol: true }]")));
    }

    [Fact]
    public void Bounds_are_read()
    {
        BoundsConfig bounds = ConfigText.Load("""
            backends: [a:1]
            bounds:
              request_line: 4KiB
              head: 64k
              head_fields: 50
              body: 1.5MiB
              body_min_rate: off
              requests_per_connection: 1000
              connections: 50000
              connections_per_address: 100
            """).Proxy.Bounds;
        Assert.Equal(new BoundsConfig
        {
            RequestLineBytes = 4096, HeadBytes = 65536, HeadFields = 50, BodyBytes = 1_572_864,
            BodyMinBytesPerSecond = 0, RequestsPerConnection = 1000, Connections = 50_000, ConnectionsPerAddress = 100,
        }, bounds);
        Assert.Equal(new BoundsConfig(), ConfigText.Load("backends: [a:1]").Proxy.Bounds);
    }

    [Theory]
    [InlineData("head: 65KiB", "head: '65KiB' is not from 256 to 65536 bytes |  | bounds.head")]
    [InlineData("head: off", "head: 'off' is not a size | write 8192, 32KiB, 10MiB or 2GiB | bounds.head")]
    [InlineData("body: 5 apples", "body: '5 apples' is not a size | write 8192, 32KiB, 10MiB or 2GiB | bounds.body")]
    [InlineData("connections: 0",
        "connections: '0' is not a number from 1 to 10000000 | write a number, or auto | bounds.connections")]
    public void Bounds_that_cannot_be_are_told(string line, string fault) =>
        Assert.EndsWith(fault, Assert.Single(ConfigText.Faults($"backends: [a:1]\nbounds: {{ {line} }}")));

    [Fact]
    public void Route_is_normalized_to_what_requests_look_like() =>
        Assert.Equal(
            [
                new() { Host = "a.example", Path = "/x", Upstream = "web" },
                new() { Host = "[::1]", Path = "/y", Upstream = "web" },
                new() { Upstream = "web" },
            ],
            ConfigText.Load("""
                upstreams: { web: { backends: ["a:1"] } }
                routes:
                  - { host: A.Example., path: /x, upstream: web }
                  - { host: "::1", path: /y, upstream: web }
                  - { host: "*", upstream: web }
                """).Proxy.Routes);

    [Fact]
    public void Yaml_merge_keys_take_what_is_not_written_itself()
    {
        PenstockConfig config = ConfigText.Load("""
            x-common: &common
              balance: random
              slow_start: 10s
              health_check: { path: /health }
            x-patient: &patient { slow_start: 20s, backend_idle: 1m }
            upstreams:
              a: { <<: *common, backends: [a:1] }
              b:
                backends: [b:1]
                slow-start: 30s
                <<: [*patient, *common]
              c: { backends: [c:1], <<: { balance: hash } }
              d: &d { backends: [d:1], <<: *patient }
              e: { <<: *d, balance: p2c }
            """ + "\nroutes: [{ upstream: a }, { path: /b, upstream: b }, { path: /c, upstream: c }, "
            + "{ path: /d, upstream: d }, { path: /e, upstream: e }]");
        (UpstreamConfig a, UpstreamConfig b, UpstreamConfig c) =
            (config.Proxy.Upstreams[0], config.Proxy.Upstreams[1], config.Proxy.Upstreams[2]);
        (UpstreamConfig d, UpstreamConfig e) = (config.Proxy.Upstreams[3], config.Proxy.Upstreams[4]);

        Assert.Equal((BalanceAlgorithm.Random, 10, "/health"),
            (a.Balance, a.SlowStart.TotalSeconds, a.HealthCheck!.Path));
        Assert.Equal((BalanceAlgorithm.Random, 30, 60, "/health"),
            (b.Balance, b.SlowStart.TotalSeconds, b.BackendIdle!.Value.TotalSeconds, b.HealthCheck!.Path));
        Assert.Equal(BalanceAlgorithm.Hash, c.Balance);
        Assert.Equal((20, "d:1"), (d.SlowStart.TotalSeconds, d.Backends[0].Address));
        Assert.Equal((20, "d:1", BalanceAlgorithm.PowerOfTwo),
            (e.SlowStart.TotalSeconds, e.Backends[0].Address, e.Balance));
    }

    [Fact]
    public void Yaml_merge_keys_give_names_too()
    {
        PenstockConfig config = ConfigText.Load("""
            limits: &limits { default: { capacity: 1, rate: 1/s } }
            upstreams: { <<: { web: { backends: [a:1] } } }
            """);
        Assert.Equal("web", Assert.Single(config.Proxy.Upstreams).Name);
        Assert.Equal(["default"], config.Proxy.Limits.Keys);
    }

    [Fact]
    public void Unix_sockets_have_a_mode_and_may_be_trusted()
    {
        PenstockConfig config = ConfigText.Load("""
            listen:
              - { address: "unix:/run/a.sock", mode: 0660 }
              - { address: "unix:/run/b.sock", mode: "600" }
              - unix:/run/c.sock
            clients: { trusted_proxies: [unix, 10.0.0.0/8] }
            backends: a:1
            """);
        Assert.Equal([UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite,
            UnixFileMode.UserRead | UnixFileMode.UserWrite, null], config.Proxy.Listeners.Select(static l => l.Mode));
        Assert.True(config.Proxy.Clients.TrustUnixSockets);
        Assert.Equal("10.0.0.0/8", Assert.Single(config.Proxy.Clients.TrustedProxies).ToString());
        Assert.False(ConfigText.Load("backends: a:1").Proxy.Clients.TrustUnixSockets);
    }

    [Fact]
    public void Yaml_anchors_repeat_a_value()
    {
        IReadOnlyList<UpstreamConfig> upstreams = ConfigText.Load("""
            upstreams:
              a: { backends: ["a:1"], health_check: &check { path: /up } }
              b: { backends: ["b:1"], health_check: *check }
            routes: [{ host: a, upstream: a }, { upstream: b }]
            """).Proxy.Upstreams;

        Assert.Equal(["/up", "/up"], upstreams.Select(u => u.HealthCheck?.Path));
    }

    [Fact]
    public void Find_takes_the_named_file_before_the_environment()
    {
        var environment = new Dictionary<string, string> { ["PENSTOCK_CONFIG"] = "p.yaml", ["CONFIG_PATH"] = "c.yaml" };

        Assert.Equal("x.yaml", ConfigLoader.Find("x.yaml", environment.GetValueOrDefault,
            out IReadOnlyList<string>? tried));
        Assert.Equal(["x.yaml"], tried);
        Assert.Equal("p.yaml", ConfigLoader.Find(null, environment.GetValueOrDefault, out _));
        environment.Remove("PENSTOCK_CONFIG");
        Assert.Equal("c.yaml", ConfigLoader.Find(null, environment.GetValueOrDefault, out _));
    }

    [Fact]
    public void Find_without_a_name_says_where_it_looked()
    {
        ConfigLoader.Find(null, _ => null, out IReadOnlyList<string>? tried);

        Assert.Equal(["penstock.yaml", "penstock.yml", "penstock.json"], tried.Take(3));
        Assert.Equal(tried.Take(3).Select(name => "/etc/penstock/" + name), tried.Skip(3).Take(3));
        Assert.Equal(["config/config.yaml", "configs/config.yaml"], tried.Skip(6));
    }

    [Fact]
    public void Load_reads_a_file_and_remembers_its_name()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "backends: [a:1]");
            Assert.Equal(path, ConfigLoader.Load(path, _ => null).Config?.File);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Load_of_what_cannot_be_read_is_a_diagnostic()
    {
        Assert.Equal("cannot read the configuration: there is no such file", Message("/tmp/no-such-file.yaml"));
        Assert.Equal("cannot read the configuration: there is no such file", Message("/no/such/directory.yaml"));
        Assert.Equal("cannot read the configuration: this directory has no file whose name ends in .yaml, .yml or "
            + ".json", Message("/proc/self/fd"));

        static string Message(string path)
        {
            ConfigResult result = ConfigLoader.Load(path, _ => null);
            Assert.Null(result.Config);
            Diagnostic diagnostic = Assert.Single(result.Diagnostics);
            Assert.Equal((Severity.Error, 1, 1), (diagnostic.Severity, diagnostic.Line, diagnostic.Column));
            return diagnostic.Message;
        }
    }
}
