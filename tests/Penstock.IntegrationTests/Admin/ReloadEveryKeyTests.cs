using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control;
using Penstock.Control.Acme;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>A changed key is in force after a reload, or the answer to the reload names it: no key is ignored silently.
/// The tests compare live objects: every value that differs between a server started with the old file and one started
/// with the new file must, after the reload, equal that of the new one.</summary>
public sealed class ReloadEveryKeyTests : IDisposable
{
    /// <summary>All keys, each with a value. Checks run once a day, so that no connection is opened.</summary>
    private const string Everything = """
        {
          "listen": [{ "address": "unix:SOCKET", "mode": "0640" },
            { "address": "127.0.0.1:0", "proxy_protocol": "false",
              "tls": { "certificates": [{ "cert": "CERT1", "key": "KEY1" }], "min_version": "1.3",
                "ciphers": "ECDHE-RSA-AES128-GCM-SHA256", "groups": "X25519",
                "client_auth": { "ca": "PEM1", "require": "false", "pass": { "X-C": "san" } },
                "hsts": "1h", "redirect_from": "off" } },
            "127.0.0.1:PORT"],
          "limits": {
            "default": { "capacity": 99, "rate": "20/s", "by": "client", "concurrent": 5, "statuses": [401],
              "dry_run": "false", "hidden": "false" },
            "logins": { "capacity": 50, "rate": "5/s" }
          },
          "limit": "logins",
          "upstreams": {
            "web": {
              "backends": [{ "url": "127.0.0.1:9", "weight": 2, "max_connections": 5, "backup": "false" },
                "127.0.0.1:10"],
              "balance": "hash", "hash": { "key": "address", "bound": "110%" },
              "sticky": { "secret": "0123456789abcdef", "cookie": "c", "max_age": "1h", "secure": "false",
                "idle": "1h" },
              "slow_start": "1s",
              "retries": { "attempts": 5, "budget": "50%", "min_per_second": 5, "per_try_timeout": "1s",
                "statuses": [502] },
              "queue": { "length": 5, "timeout": "1s" }, "hedge": { "after": "1s" }, "limit": "default",
              "health_check": { "path": "/a", "method": "PUT", "headers": { "X-C": "c" },
                "expect": { "status": "201", "body": "a" }, "interval": "24h", "fast_interval": "23h",
                "timeout": "1s", "rise": 5, "fall": 5, "initial": "up" },
              "passive_health": { "consecutive_errors": 5, "error_share": "60%", "latency_factor": 5,
                "latency_floor": "1s", "min_requests": 5, "window": "1s", "ejection_time": "1s",
                "max_ejection_time": "24h", "max_ejected": "60%", "panic_threshold": "60%" },
              "backend_idle": "1s", "send_proxy": "v2",
              "tls": { "ca": "PEM1", "server_name": "a", "verify": "false", "cert": "CERT1", "key": "KEY1" }
            },
            "files": { "backends": "127.0.0.1:11", "health_check": { "type": "tcp", "interval": "24h" } }
          },
          "routes": [
            { "name": "api", "host": "h", "path": "/v1/a/*", "method": "PUT", "headers": { "A": "a" },
              "query": { "a": "a" }, "upstream": "web", "limit": "logins", "cost": 5,
              "timeouts": { "connect": "1s", "response": "1s" },
              "retries": { "attempts": 5, "per_try_timeout": "1s", "statuses": [502] },
              "rewrite": { "strip_prefix": "/v1/", "add_prefix": "/b" },
              "request_headers": { "set": { "X-C": "c" }, "add": { "X-C": "c" }, "remove": "X-C" },
              "response_headers": { "set": { "X-C": "c" }, "add": { "X-C": "c" }, "remove": "X-C" } },
            { "upstream": "web" }, { "upstream": "files", "path": "/f" }
          ],
          "clients": { "identify": "query:c", "unknown": "own", "trusted_proxies": "192.0.2.9", "ipv6_prefix": 60,
            "exempt": "somebody", "preflight": "free", "max_tracked": 500, "save_unregistered": "false" },
          "limit_fields": "both",
          "errors": { "429": { "headers": { "X-C": "c" }, "body": "c", "content_type": "text/plain" },
            "503": { "file": "FILE" } },
          "timeouts": { "connect": "1s", "handshake": "1s", "head": "1s", "response": "1s", "idle": "1s",
            "backend_idle": "1s", "tunnel": "1s", "tokens": "1s", "drain_delay": "1s", "shutdown": "1s" },
          "bounds": { "request_line": "1KiB", "head": "1KiB", "head_fields": 5, "body": "1KiB", "body_min_rate": 100,
            "requests_per_connection": 5, "connections": 50, "connections_per_address": 5, "half_close": "allow" },
          "loops": 1, "log": { "level": "error" },
          "access_log": { "to": "off", "format": "json", "only": { "status": 500, "min_duration": "1s" },
            "sample": { "429": "1/9" }, "query": "false" },
          "admin": { "listen": "unix:ADMIN", "mode": "0640", "token": "t",
            "tokens": [{ "name": "ops", "role": "read", "sha256": "HASH" }] },
          "tls": { "acme": { "names": "a.example", "email": "a@a.example", "directory": "https://ca.example/",
            "ca": "PEM1", "eab": { "kid": "a", "hmac_key": "YWJj" }, "storage": "a", "challenge": "http-01" },
            "tickets": { "keys": "a", "rotate": "1h" } },
          "store": "sqlite:b.db", "plans": { "blue": { "capacity": 5, "rate": "5/s" } }
        }
        """;

    /// <summary>Values for keys for which the samples of the syntax are not valid.</summary>
    private static readonly Dictionary<string, (string Path, string Value)> Instead = new(StringComparer.Ordinal)
    {
        ["listen[0].address"] = ("listen[0].address", "'unix:OTHER'"),
        ["listen[1].address"] = ("listen[1].address", "127.0.0.2:0"),
        ["listen"] = ("listen", "['unix:SOCKET']"),
        ["limits"] = ("limits.more", "{ capacity: 9, rate: 9/s }"),
        ["limit"] = ("limit", "default"),
        ["upstreams"] = ("upstreams.more", "{ backends: 127.0.0.1:12 }"),
        ["upstreams.web.backends"] = ("upstreams.web.backends", "127.0.0.1:12"),
        ["upstreams.files.backends"] = ("upstreams.files.backends", "127.0.0.1:12"),
        ["upstreams.web.limit"] = ("upstreams.web.limit", "logins"),
        ["upstreams.web.sticky.secret"] = ("upstreams.web.sticky.secret", "0123456789abcdefg"),
        ["upstreams.files.health_check.type"] = ("upstreams.files.health_check", "{ path: /, interval: 24h }"),
        ["routes"] = ("routes", "[{ upstream: files }]"),
        ["routes[0].upstream"] = ("routes[0].upstream", "files"),
        ["routes[1].upstream"] = ("routes[1].upstream", "files"),
        ["routes[2].upstream"] = ("routes[2].upstream", "web"),
        ["routes[0].path"] = ("routes[0].path", "/v1/b"),
        ["routes[0].rewrite.strip_prefix"] = ("routes[0].rewrite.strip_prefix", "/v1/a/"),
        ["errors"] = ("errors.500", "{ body: d }"),
        ["errors.503.file"] = ("errors.503.file", "'OTHERFILE'"),
        ["admin"] = ("admin.token", "u"),
        ["admin.listen"] = ("admin.listen", "'unix:OTHER'"),
        ["admin.tokens"] = ("admin.tokens", "[]"),
        ["tls.acme.ca"] = ("tls.acme.ca", "'PEM2'"),
        ["listen[1].tls.certificates[0].cert"] = ("listen[1].tls.certificates[0].cert", "'CERT2'"),
        ["listen[1].tls.certificates[0].key"] = ("listen[1].tls.certificates[0].key", "'KEY2'"),
        ["listen[1].tls.ciphers"] = ("listen[1].tls.ciphers", "ECDHE-RSA-AES256-GCM-SHA384"),
        ["listen[1].tls.groups"] = ("listen[1].tls.groups", "prime256v1"),
        ["listen[1].tls.client_auth.ca"] = ("listen[1].tls.client_auth.ca", "'PEM2'"),
        ["listen[1].tls.redirect_from"] = ("listen[1].tls.redirect_from", "PORT"),
        ["upstreams.web.tls.ca"] = ("upstreams.web.tls.ca", "'PEM2'"),
        ["upstreams.web.tls.server_name"] = ("upstreams.web.tls.server_name", "b"),
        ["upstreams.web.tls.cert"] = ("upstreams.web.tls.cert", "'CERT2'"),
        ["upstreams.web.tls.key"] = ("upstreams.web.tls.key", "'KEY2'"),
        ["plans"] = ("plans.more", "{ capacity: 9, rate: 9/s }"),
    };

    private static readonly string[] NotOfServer =
    [
        "$schema", // not read
        "watch", // of the program, see ConfigScenarios
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly int _port = PenstockProcess.FreePort();

    public ReloadEveryKeyTests()
    {
        File.WriteAllText(Path.Combine(_folder, "a.html"), "a");
        File.WriteAllText(Path.Combine(_folder, "b.html"), "b");
        foreach (string name in new[] { "1.pem", "2.pem" })
        {
            using var root = new TestRoot(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddDays(1));
            File.WriteAllText(Path.Combine(_folder, name), root.Pem);
        }
        TestCertificate certificate = TestAuthority.Shared.Issue("a.example");
        foreach (string number in new[] { "1", "2" }) // the same with another text around it
        {
            File.WriteAllText(Path.Combine(_folder, $"cert{number}"), $"{certificate.Chain}\n{number}\n");
            File.WriteAllText(Path.Combine(_folder, $"key{number}"), $"{certificate.Key}\n{number}\n");
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_key_that_a_reload_changes_is_in_force_or_named()
    {
        JsonNode everything = JsonNode.Parse(Everything)!;
        List<(string Path, Key Row)> keys = [.. Keys(everything, FileKeys.Table, "")];
        IEnumerable<string> missing = FileKeys.Table.Reachable()
            .SelectMany(static table => table.Rows.Select(row => (table, row)))
            .Where(key => !keys.Exists(known => known.Row.Name == key.row.Name && known.Row.Shape == key.row.Shape))
            .Select(static key => $"{key.table.Name}.{key.row.Name}");
        Assert.Equal([], missing.Except(UpstreamKeys.Flat.Rows.Select(static row => "." + row.Name))
            .Except(NotOfServer.Select(static name => "." + name)));

        PenstockConfig old = Load(everything.ToJsonString());
        Dictionary<string, string> before = await StateAsync(old, null, null);
        var faults = new List<string>();
        foreach ((string path, Key row) in keys.Where(static key => IsChangeable(key.Path, key.Row)))
        {
            PenstockConfig changed = Load(Changed(everything, path, row));
            Dictionary<string, string> started = await StateAsync(changed, null, null);
            var named = new List<string>();
            Dictionary<string, string> reloaded = await StateAsync(old, changed, named);
            List<string> places = [.. Different(before, started)];
            List<string> stale = [.. places.Where(place =>
                started.GetValueOrDefault(place) != reloaded.GetValueOrDefault(place))];
            if (row.AtStart || named.Count > 0)
            {
                if (named is not [var name] || (name != path && !path.StartsWith(name + ".", StringComparison.Ordinal)))
                {
                    faults.Add($"{path}: a restart is needed for {string.Join(", ", named)}");
                }
            }
            else if (places.Count == 0)
            {
                faults.Add($"{path}: changes nothing");
            }
            else if (stale.Count > 0)
            {
                faults.Add($"{path}: {stale.Count} of {places.Count}, "
                    + string.Join(", ", stale.Take(4).Select(p =>
                        $"{p} is {reloaded.GetValueOrDefault(p)}, not {started.GetValueOrDefault(p)}")));
            }
        }
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Fact]
    public async Task What_needs_a_restart_is_named_by_every_reload_until_then()
    {
        PenstockConfig old = Load(Everything);
        PenstockConfig changed = old with
        {
            Store = "memory", Proxy = old.Proxy with { Loops = 2, Clients = old.Proxy.Clients with { MaxTracked = 9 } },
        };
        await using var proxy = new ProxyServer(old.Proxy, NullLoggerFactory.Instance);
        using IClientStore store = ClientStores.Open("memory", TimeProvider.System);
        proxy.Start();
        var directory = new ClientDirectory(store, proxy.Limiter, NullLogger<ClientDirectory>.Instance);
        var reloader = new Reloader(old, proxy, directory, Backends(store, directory, proxy),
            new AdminTokens(old.Admin), new EventThreshold(MinLevel.Info), Keeper(old),
            () => new ConfigResult(changed, []), TimeProvider.System, NullLogger.Instance);

        string[] expected = ["clients.max_tracked", "loops", "store"];
        Assert.Equal(expected, reloader.Reload().RestartNeeded);
        Assert.Equal(expected, reloader.Reload().RestartNeeded);
    }

    private static StoredBackends Backends(IClientStore store, ClientDirectory directory, ProxyServer proxy) =>
        new(store, directory, proxy, NullLogger<StoredBackends>.Instance);

    /// <summary>The state of a server that was started with the first file and has reloaded the second.</summary>
    private static async Task<Dictionary<string, string>> StateAsync(
        PenstockConfig config, PenstockConfig? next, List<string>? named)
    {
        await using var proxy = new ProxyServer(config.Proxy, NullLoggerFactory.Instance, new ManualTime());
        using IClientStore store = ClientStores.Open("memory", TimeProvider.System);
        var directory = new ClientDirectory(store, proxy.Limiter,
            NullLogger<ClientDirectory>.Instance);
        directory.Publish(config.Plans);
        var threshold = new EventThreshold(MinLevel.Info);
        threshold.Configure(config.Log.Level);
        proxy.Start();
        var tokens = new AdminTokens(config.Admin);
        CertificateKeeper certificates = Keeper(config);
        if (next is not null)
        {
            var reloader = new Reloader(config, proxy, directory, Backends(store, directory, proxy), tokens,
                threshold, certificates, () => new ConfigResult(next, []), TimeProvider.System, NullLogger.Instance);
            ReloadResult result = reloader.Reload();
            named!.AddRange(result.Error is { } error ? [error] : result.RestartNeeded);
        }
        Dictionary<string, string> state = LiveState.Of(proxy);
        state["certificates"] = $"{certificates.Config}";
        state["log level"] = $"{threshold.Level}";
        state["tokens"] = $"{tokens.InForce.Token} {tokens.InForce.Tokens}";
        foreach (PlanNumbers plan in store.Plans())
        {
            state[$"plan {plan.Name}"] = plan.ToString();
        }
        return state;
    }

    /// <summary>One that is not started, so that it asks no CA.</summary>
    private static CertificateKeeper Keeper(PenstockConfig config) => new(
        config.Tls.Acme, static _ => throw new NotSupportedException(), TimeProvider.System, NullLogger.Instance);

    private static IEnumerable<string> Different(Dictionary<string, string> one, Dictionary<string, string> other) =>
        one.Keys.Union(other.Keys).Where(key => one.GetValueOrDefault(key) != other.GetValueOrDefault(key));

    private static bool IsChangeable(string path, Key row) => Instead.ContainsKey(path) || row.Shape.Samples.Count > 0;

    private static string Changed(JsonNode everything, string path, Key row)
    {
        (string at, string value) = Instead.TryGetValue(path, out (string, string) instead) ? instead
            : (path, row.Shape.Samples[0]);
        JsonNode copy = everything.DeepClone();
        string[] steps = at.Replace("[", ".#", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal)
            .Split('.');
        JsonNode parent = steps[..^1].Aggregate(copy, static (node, step) =>
            step[0] == '#' ? node[step[1] - '0']! : node[step]!);
        if (value == parent[steps[^1]]?.ToString())
        {
            value = row.Shape.Samples[1];
        }
        parent[steps[^1]] = "@@";
        return copy.ToJsonString().Replace("\"@@\"", value, StringComparison.Ordinal);
    }

    /// <summary>JSON with pieces of YAML in it is YAML.</summary>
    private PenstockConfig Load(string text)
    {
        text = text.Replace("HASH", new('c', 64), StringComparison.Ordinal)
            .Replace("ADMIN", Path.Combine(_folder, "c.sock"), StringComparison.Ordinal)
            .Replace("SOCKET", Path.Combine(_folder, "a.sock"), StringComparison.Ordinal)
            .Replace("OTHERFILE", Path.Combine(_folder, "b.html"), StringComparison.Ordinal)
            .Replace("OTHER", Path.Combine(_folder, "b.sock"), StringComparison.Ordinal)
            .Replace("CERT", Path.Combine(_folder, "cert"), StringComparison.Ordinal)
            .Replace("KEY", Path.Combine(_folder, "key"), StringComparison.Ordinal)
            .Replace("PORT", $"{_port}", StringComparison.Ordinal)
            .Replace("PEM1", Path.Combine(_folder, "1.pem"), StringComparison.Ordinal)
            .Replace("PEM2", Path.Combine(_folder, "2.pem"), StringComparison.Ordinal)
            .Replace("FILE", Path.Combine(_folder, "a.html"), StringComparison.Ordinal);
        ConfigResult result = ConfigLoader.Parse("penstock.yaml", text, static _ => null);
        Assert.True(result.Config is not null, string.Join('\n', result.Diagnostics) + "\n" + text);
        return result.Config;
    }

    /// <summary>The keys of the file, with their rows.</summary>
    private static IEnumerable<(string Path, Key Row)> Keys(JsonNode node, KeyTable table, string path)
    {
        if (node is JsonArray list)
        {
            return list.SelectMany((item, i) => Keys(item!, table, $"{path}[{i}]"));
        }
        if (node is not JsonObject mapping)
        {
            return [];
        }
        if (mapping.Any(entry => table.Rows.All(row => row.Name != entry.Key)))
        {
            return mapping.SelectMany(entry => Keys(entry.Value!, table, $"{path}.{entry.Key}"));
        }
        return mapping.SelectMany(entry =>
        {
            Key row = table.Rows.Single(r => r.Name == entry.Key);
            string at = path.Length == 0 ? entry.Key : $"{path}.{entry.Key}";
            return row.Shape.Tables.SelectMany(inner => Keys(entry.Value!, inner, at)).Prepend((at, row));
        });
    }
}
