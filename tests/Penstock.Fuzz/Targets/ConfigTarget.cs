using System.Text;
using Penstock.Control.Config;

namespace Penstock.Fuzz.Targets;

/// <summary>A configuration file.</summary>
internal sealed class ConfigTarget(string name, string fileName) : FuzzTarget
{
    private const string Yaml = """
        # all there is
        listen: [0.0.0.0:8080, "unix:/tmp/p.sock"]
        admin: { listen: 127.0.0.1:9800, token: "${TOKEN:-}" }
        clients:
          identify: [header:X-API-Key, query:client_id, address]
          unknown: address
          trusted_proxies: [10.0.0.0/8]
          ipv6_prefix: 64
        limits: &l
          default: { capacity: 100, rate: 10/s }
        store: sqlite:penstock.db
        upstreams:
          web:
            balance: round_robin
            backends:
              - http://127.0.0.1:9001
              - { url: http://127.0.0.1:9002, weight: 2, max_connections: 100, backup: false }
            health_check: { path: /health, interval: 2s, timeout: 1s, rise: 2, fall: 3 }
        routes:
          - { host: api.example.com, path: /v1/*, upstream: web, limit: default }
          - { name: n, path: /v2/*, method: [GET, POST], headers: { X: "*" }, query: { q: 1 }, upstream: web,
              timeouts: { connect: 1s }, rewrite: { strip_prefix: /v2, add_prefix: /a },
              request_headers: { set: { Host: a }, remove: [Cookie] }, response_headers: { add: { X: [1, 2] } } }
          - { upstream: web }
        timeouts: { connect: 2s, head: 10s, response: 60s, idle: 90s, shutdown: 30s }
        loops: auto
        access_log: stdout
        """;

    private const string Json = """
        {
          // a comment
          "listen": "0.0.0.0:8080", "admin": { "listen": "127.0.0.1:9800", "token": "${TOKEN:-}" },
          "clients": { "identify": ["header:X-API-Key", "address"], "trusted_proxies": ["10.0.0.0/8"] },
          "limits": { "default": { "capacity": 100, "rate": "10/s" } }, "store": "sqlite:penstock.db",
          "upstreams": { "web": { "balance": "round_robin",
            "backends": ["http://127.0.0.1:9001", { "url": "127.0.0.1:9002", "weight": 2, "backup": false }],
            "health_check": { "path": "/health", "interval": "2s", "timeout": "1s", "rise": 2, "fall": 3 } } },
          "routes": [{ "host": "api.example.com", "path": "/v1/*", "upstream": "web", "limit": "default" }],
          "timeouts": { "connect": "2s", "head": "10s" }, "loops": "auto", "access_log": "stdout",
        }
        """;

    private static readonly IReadOnlyList<KeyTable> Tables = FileKeys.Table.Reachable();

    private static readonly HashSet<string> Keys =
        [.. Tables.SelectMany(static table => table.Rows).Select(static row => row.Name)];

    private readonly bool _json = fileName.EndsWith(".json", StringComparison.Ordinal);

    public override string Name => name;
    public override int MaxBytes => 4 * 1024;

    public override IReadOnlyList<byte[]> Seeds => [.. (_json
        ? new[] { Json, "\ra", "", "{}", "[]", "null", "\"a\"", """{"backends":["127.0.0.1:9001"],"balance":"p2c"}""" }
        : [Yaml, "", "backends: [127.0.0.1:9001]", "backends: 127.0.0.1:9001\nbalance: p2c\nlisten: :80", "- a",
            "a: &x {b: *x}",
            "x-a: &a { rate: 1/s }\nlimits: { d: { <<: *a, capacity: 1 } }\nbackends: a:1",
            "errors: { 4xx: { headers: { X: \"{{origin}}\" }, body: \"{{status}}\" } }\nbackends: a:1",
            "limits:\n  d: &a {capacity: 5, rate: 30/m}\n  e: *a\nbackends: [a:1]", "? a\n: b",
            "a: |\n  b\n  c\n", "--- a\n--- b", "%YAML 1.2\n---\na: 'b'", "!!str a", "\uFEFFbackends: a:1",
            "a: b\ne: !!]", "routes:\n- ${", "...\n>\n", "\f: ]"]) // the last were findings once
        .Select(Encoding.UTF8.GetBytes)];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            "\n", "\r\n", "\r", "\t", " ", "  ", "\u2028", "\u0085", "\f", "\0", "é", "\U0001F600", "{", "}", "[",
            "]", ":", ": ", ", ", "- ", "? ", "\"", "'", "|\n", ">\n", "#", "&a ", "*a", "!!str ", "!", "%", "@", "`",
            "---\n", "...\n", "<<: ", "~", "null", "true", "off", "auto", "${", "${HOME_DIR}", "${UNSET}",
            "${UNSET:-x}", "$$",
            "\\u0000", "\\ud800", "\\n", "\\\"", "//", "/*", "*/", "0x10", "1e400", "-1", ".5", "10/s", "30/m", "2s",
            "1h", "0s", "127.0.0.1:9001", "http://a", "https://a", "[::1]:80", "unix:/a", ":80", ":0", "a:99999",
            "10.0.0.0/8", "::/0", "/v1/*", "*.example.com", "least_requests", "{{status}}", "{{", "x-a", "any", "4xx",
        }.Concat(Tables.SelectMany(static table => table.Rows)
                .SelectMany(static row => row.Shape.Samples.Prepend(row.Name)))
            .Distinct().Select(Encoding.UTF8.GetBytes),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        string text = Encoding.UTF8.GetString(input);
        ConfigResult result = ConfigLoader.Parse(fileName, text, Variable);
        bool errors = result.Diagnostics.Any(static d => d.Severity == Severity.Error);
        Require(errors == result.Config is null, "errors or a configuration", $"errors {errors}");

        string[] lines = text.Split(["\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"], StringSplitOptions.None);
        foreach (Diagnostic d in result.Diagnostics)
        {
            Require(d.Line >= 1 && d.Line <= lines.Length, "the line is in the text",
                $"{d.Line}:{d.Column} of {lines.Length} lines: {d.Message}");
            int length = lines[d.Line - 1].Length;
            Require(d.SourceLine is { } shown && IsLine(shown, lines[d.Line - 1]), "the line shown is that line",
                $"{d.Line}: {d.SourceLine}");
            Require(d.Column >= 1 && d.Column <= length + 1, "the column is in its line",
                $"{d.Line}:{d.Column} of {length} columns: {d.Message}");
            Require(d.Length >= 1 && d.Message.Length > 0, "there is something to show", $"{d.Length} {d.Message}");
        }
        DiagnosticWriter.WriteText(TextWriter.Null, fileName, result.Diagnostics, color: true);
        DiagnosticWriter.WriteJson(TextWriter.Null, fileName, result.Diagnostics);
        ConfigResult again = ConfigLoader.Parse(fileName, text, Variable);
        Require(again.Diagnostics.SequenceEqual(result.Diagnostics), "the same twice", $"{again.Diagnostics.Count}");
        return Words(result);
    }

    /// <summary>The shown line equals the line of the file, except for stars in place of secrets.</summary>
    private static bool IsLine(string shown, string line) =>
        shown.Length == line.Length && shown.Zip(line).All(static p => p.First is '*' || p.First == p.Second);

    private HashSet<string> Words(ConfigResult result)
    {
        var words = new HashSet<string>(StringComparer.Ordinal)
        {
            $"diagnostics {Scale(result.Diagnostics.Count)} loads {result.Config is not null}",
        };
        foreach (Diagnostic d in result.Diagnostics)
        {
            // The words of the message itself, without what it quotes and counts.
            words.Add($"{d.Severity} {Plain(d)}");
            words.Add($"{string.Join('.', (d.Path ?? "").Split('.').Where(Keys.Contains).Take(3))} {d.Severity}");
        }
        if (result.Config is { } config)
        {
            words.Add($"listeners {Scale(config.Proxy.Listeners.Count)} limits {Scale(config.Proxy.Limits.Count)}");
            words.Add($"upstreams {Scale(config.Proxy.Upstreams.Count)} routes {Scale(config.Proxy.Routes.Count)}");
        }
        return words;
    }

    /// <summary>The message without the name that it is about, up to something that the input could have put there.
    /// </summary>
    private static string Plain(Diagnostic d)
    {
        int colon = d.Message.LastIndexOf(": ", StringComparison.Ordinal);
        while (colon > 0 && d.Path?.EndsWith(d.Message[..colon], StringComparison.Ordinal) != true)
        {
            colon = d.Message.LastIndexOf(": ", colon - 1, StringComparison.Ordinal);
        }
        string message = colon < 0 ? d.Message : d.Message[(colon + 2)..];
        return string.Join(' ', message.Split('\'')[0].Split(' ')
            .TakeWhile(static w => w.All(static c => char.IsAsciiLetter(c) || c is '_' or ',' or ':')).Take(8));
    }

    private static string? Variable(string name) => name is "HOME_DIR" ? "/home/a" : name is "TOKEN" ? "" : null;
}
