using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

public sealed class SmallBalancerConverterTests
{
    [Fact]
    public void Numbers_of_json_without_a_unit_are_milliseconds()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Small, "config.json", """
            {
              "port": 8080,
              "algorithm": "least_conn",
              "replicas": ["http://a:8081", "http://b:8082"],
              "health_check": { "path": "/ping", "interval": 2000, "timeout": 500 },
              "rate_limit": { "default_capacity": 10, "default_refill_rate": 1, "header": "X-Client-ID" },
              "database": {
                "host": "postgres", "port": 5432, "user": "lb", "password": "${DB_PASSWORD}", "name": "lb"
              },
              "colour": "blue"
            }
            """);
        Assert.Equal("""
            listen: [0.0.0.0:8080]
            clients:
              identify: [header:X-Client-ID, address]
              unknown: own
            limits:
              default: { capacity: 10, rate: 1/s }
            backends: [http://a:8081, http://b:8082]
            balance: least_conn
            health_check: { path: /ping, interval: 2s, timeout: 500ms }
            store: "postgres://lb:${DB_PASSWORD}@postgres:5432/lb"

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Equal(["config.json:10: colour: Penstock has no setting that is certainly the same"], left);
    }

    [Fact]
    public void Numbers_of_yaml_without_a_unit_are_listed()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Small, "configs/config.yaml", """
            env: local
            http_server:
              address: localhost:8080
              idle_timeout: 1m
            load_balancer:
              strategy: least-connections
              backends:
                - url: http://127.0.0.1:9001
                  weight: 2
                - { host: 127.0.0.1, port: 9002, name: second }
            health_checker: { interval: 5, timeout_ms: 700, unhealthy_threshold: 2, health_path: /health }
            rate_limiter: { capacity: 100, refill_rate: 5, refill_interval: 10s }
            database_path: limits.db
            """);
        Assert.Equal("""
            listen: [127.0.0.1:8080]
            limits:
              default: { capacity: 100, rate: 0.5/s }
            backends:
              - { url: http://127.0.0.1:9001, weight: 2 }
              - http://127.0.0.1:9002
            balance: least-connections
            health_check: { timeout: 700ms, fall: 2, path: /health }
            timeouts: { idle: 1m }
            store: sqlite:limits.db

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Equal(
        [
            "configs/config.yaml:1: env: Penstock has no setting that is certainly the same",
            "configs/config.yaml:10: name: a backend is named by its address",
            "configs/config.yaml:11: health_checker.interval: Penstock has no setting that is certainly the same; a "
                + "time needs its unit, such as 5s",
        ], left);
    }

    [Theory]
    [InlineData("""
        listen_addres: ":8080"
        algorithm: "round_robin"
        health_interval: "5s"
        backends: [{ name: one, url: "http://a:1" }, { name: two, url: "http://b:2" }]
        default_rate_limit: { capacity: 10, rate_per_sec: 12 }
        """, "listen: [0.0.0.0:8080]", "health_check: { interval: 5s, type: tcp }",
        "default: { capacity: 10, rate: 12/s }")]
    [InlineData("""
        port: '3030'
        backend_servers: [ 'http://backend1:80', 'backend2' ]
        load_balancing_algorithm: 'random'
        rate_limiter: { enabled: true, default_rate: 0.08333, default_capacity: 100, database_path: ./limits.db }
        """, "listen: [0.0.0.0:3030]", "backends: [http://backend1:80, http://backend2]",
        "default: { capacity: 100, rate: 0.08333/s }", "store: sqlite:./limits.db")]
    [InlineData("""
        server: { host: 127.0.0.1, port: 8080 }
        servers: "http://a:1,http://b:2"
        limits: { rate_limit_capacity: 5, requests_per_second: 2 }
        postgres: { dsn: "postgres://u:p@db:5432/x" }
        log: { level: DEBUG }
        """, "listen: [127.0.0.1:8080]", "backends: [http://a:1, http://b:2]", "level: debug",
        "store: \"postgres://u:p@db:5432/x\"")]
    public void Keys_have_many_names(string text, params string[] written) =>
        Assert.All(written, line => Assert.Contains(line, ConversionRun.Of(Converters.Small, "c.yaml", text).Yaml));

    [Theory]
    [InlineData("c.json", "{ \"port\": ", "c.json:1: ")]
    [InlineData("c.yaml", "a: [", "c.yaml:1: ")]
    [InlineData("c.yaml", "port: 80", "c.yaml names no backend")]
    [InlineData("c.yaml", "", "c.yaml names no backend")]
    public void Faulty_file_is_reported(string file, string text, string fault) =>
        Assert.StartsWith(fault, ConversionRun.FaultOf(Converters.Small, file, text));

    [Theory]
    [InlineData(10, "10/s")]
    [InlineData(0.5, "0.5/s")]
    [InlineData(1.0 / 60, "1/m")]
    [InlineData(0.08333, "0.08333/s")]
    [InlineData(1.0 / 3600, "1/h")]
    public void Rate_is_written_in_the_unit_in_which_it_is_short(double perSecond, string written) =>
        Assert.Equal(written, Conversion.RateOf(perSecond));

    [Theory]
    [InlineData("port: 3030\nredis: { addr: localhost:6379 }", "listen: [0.0.0.0:3030]", "redis.addr")]
    [InlineData("server: { port: 8080 }\nmetrics: { port: 9090 }", "listen: [0.0.0.0:8080]", "metrics.port")]
    [InlineData("server: { port: 8080 }\ngrpc_server: { port: 9090 }", "listen: [0.0.0.0:8080]", "grpc_server.port")]
    [InlineData("server: { port: 8080 }\nport: 9090", "listen: [0.0.0.0:8080]", "port: server.port has set the same")]
    [InlineData("limits: { capacity: 10, rate: 1, special: { user1: { capacity: 5 } } }",
        "default: { capacity: 10, rate: 1/s }", "limits.special.user1.capacity")]
    [InlineData("rate_limits: { user1: { capacity: 5, rate: 2 } }", "", "penstock clients set")]
    [InlineData("default_capacity: 10\ndefault_rate_per_sec: 1.5", "default: { capacity: 10, rate: 1.5/s }", null)]
    [InlineData("default_capacity: 10", "", "the default limit: its capacity is 10, but its rate was not found")]
    [InlineData("rate_limit: { capacity: 10, refill_interval: 1s }", "", "its rate was not found")]
    [InlineData("rate_limit: { rps: 10 }", "", "its capacity was not found")]
    [InlineData("backends: [{ address: localhost, port: 99 }]", "backends: [http://localhost:99]", null)]
    [InlineData("backends: [{ ip: 10.0.0.1, port: 99 }]", "backends: [http://10.0.0.1:99]", null)]
    [InlineData("backends: [{ url: http://a:1, port: 99 }]", "backends: [http://a:1]", null)]
    [InlineData("backends: [{ url: http://a/, port: 99 }]", "backends: [http://a:99]", null)]
    [InlineData("health_check: { path: /h, workers: 5 }", "health_check: { path: /h }",
        "workers: Penstock has no setting that is certainly the same\n")]
    [InlineData("health_check: { path: /h, interval: 5 }", "health_check: { path: /h }", "a time needs its unit")]
    [InlineData("database: { dsn: host=a user=b }", "", "write store: postgres://")]
    [InlineData("algorithm: fastest\nbackends: [a:1]", "backends: [http://a:1]", "an unknown algorithm")]
    public void Nothing_is_dropped_silently_or_taken_for_something_else(string file, string converted, string? listed)
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Small, "config.yaml",
            file.Contains("backends", StringComparison.Ordinal) ? file : file + "\nbackends: [a:1]");
        Assert.Contains(converted, yaml, StringComparison.Ordinal);
        if (converted.Length == 0)
        {
            Assert.DoesNotContain("limits", yaml, StringComparison.Ordinal);
            Assert.DoesNotContain("store", yaml, StringComparison.Ordinal);
        }
        string all = string.Concat(left.Select(static line => line + "\n"));
        Assert.Contains(listed ?? "", all, StringComparison.Ordinal);
        Assert.True(listed is not null || left.Length == 0, all);
    }
}
