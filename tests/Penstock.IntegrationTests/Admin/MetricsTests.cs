using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Penstock.Control;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>The figures of <c>/metrics</c> are those that clients have counted.</summary>
public sealed partial class MetricsTests
{
    private const string Promtool = "/usr/bin/promtool";
    private const int MatchTimeoutMs = 1000;

    [Fact]
    public async Task Requests_and_decisions_are_what_the_clients_have_counted()
    {
        await using var backend = ScriptedBackend.Always("hello");
        await using AdminFixture penstock = await StartAsync(backend.Port);
        var counted = new Dictionary<string, long>(StringComparer.Ordinal);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async number =>
        {
            using var client = new RawClient(penstock.Host.Proxy.EndPoints[0]);
            string id = number < 4 ? "X-Client-ID: own\r\n" : "";
            for (int i = 0; i < 50; i++)
            {
                string method = (i % 3) switch { 0 => "GET", 1 => "POST", _ => "BREW" };
                await client.SendAsync($"{method} / HTTP/1.1\r\nHost: a\r\n{id}Content-Length: 3\r\n\r\nabc");
                int status = (await client.ReadAsync())!.Status;
                lock (counted)
                {
                    string key = $"{(method == "BREW" ? "other" : method)} {status}";
                    counted[key] = counted.GetValueOrDefault(key) + 1;
                }
            }
        }));
        using (var hostile = new RawClient(penstock.Host.Proxy.EndPoints[0]))
        {
            await hostile.SendAsync("nonsense\r\n\r\n");
            counted["other 400"] = (await hostile.ReadAsync())!.Status == 400 ? 1 : 0;
        }
        await Eventually.TrueAsync(() => penstock.Host.Proxy.Requests == 401, "all have ended");

        Dictionary<string, double> metrics = await ReadAsync(penstock);

        Assert.Equal(counted.OrderBy(static c => c.Key, StringComparer.Ordinal), metrics
            .Where(static m => m.Key.StartsWith("penstock_requests_total", StringComparison.Ordinal))
            .GroupBy(static m => $"{Label(m.Key, "method")} {Label(m.Key, "code")}")
            .Select(static same => KeyValuePair.Create(same.Key, (long)same.Sum(static m => m.Value)))
            .OrderBy(static c => c.Key, StringComparer.Ordinal));
        Assert.Equal(
            [(20, 180, 0), (30, 170, 0), (10, 0, 40)],
            new[] { "own", "default", "trial" }.Select(limit => (
                Decided(metrics, limit == "own" ? "client" : limit, "admitted"),
                Decided(metrics, limit == "own" ? "client" : limit, "rejected"),
                Decided(metrics, limit == "own" ? "client" : limit, "dry_run_rejected"))));
        string listener = $"listener=\"{AdminFixture.ProxyConfig.Listeners[0].Text}\"";
        Assert.Equal(401, metrics[$"penstock_request_duration_seconds_count{{{listener}}}"]);
        Assert.Equal(50, metrics[$"penstock_request_overhead_seconds_count{{{listener}}}"]);
        Assert.Equal(50, metrics["penstock_upstream_response_duration_seconds_count{upstream=\"web\"}"]);
        Assert.Equal(150, metrics[$"penstock_request_body_bytes_total{{{listener}}}"]);
        Assert.Equal(9, metrics[$"penstock_connections_accepted_total{{{listener}}}"]);
        string one = $"upstream=\"web\",backend=\"127.0.0.1:{backend.Port}\"";
        Assert.Equal(50, metrics[$"penstock_backend_requests_total{{{one}}}"]);
        Assert.Equal(1, metrics[$"penstock_backend_up{{{one}}}"]);
        Assert.Equal(1, metrics["penstock_store_up"]);
        Assert.Equal(1, metrics["penstock_clients"]);
    }

    [Fact]
    public async Task Drained_backend_is_not_up_and_a_removed_one_disappears()
    {
        await using var backend = ScriptedBackend.Always("hello");
        await using AdminFixture penstock = await StartAsync(backend.Port);
        string one = $"upstream=\"web\",backend=\"127.0.0.1:{backend.Port}\"";
        penstock.Host.Proxy.SetBackend("web", $"127.0.0.1:{backend.Port}", BackendState.Drain, weight: 7);

        Dictionary<string, double> drained = await ReadAsync(penstock);
        penstock.Host.Proxy.Apply(AdminFixture.ProxyConfig);
        Dictionary<string, double> removed = await ReadAsync(penstock);

        Assert.Equal((0, 1, 7), (drained[$"penstock_backend_up{{{one}}}"],
            drained[$"penstock_backend_state{{{one},state=\"drain\"}}"],
            drained[$"penstock_backend_weight{{{one}}}"]));
        Assert.DoesNotContain(removed.Keys, key => key.Contains(one, StringComparison.Ordinal));
        Assert.Contains("penstock_backend_up{upstream=\"web\",backend=\"127.0.0.1:9\"}", removed.Keys);
    }

    [Fact]
    public async Task Answer_is_OpenMetrics_when_the_request_accepts_it_and_needs_the_token()
    {
        await using AdminFixture penstock = await AdminFixture.StartAsync(token: "secret-of-the-operator");
        (string, string) token = ("Authorization", "Bearer secret-of-the-operator");

        Answer plain = await penstock.SendAsync("GET", "/metrics", headers: token);
        Answer open = await penstock.SendAsync("GET", "/metrics",
            headers: [token, ("Accept", "application/openmetrics-text; version=1.0.0, text/plain;q=0.5")]);

        Assert.Equal((200, "text/plain"), (plain.Status, plain.Type));
        Assert.Equal((200, "application/openmetrics-text"), (open.Status, open.Type));
        Assert.EndsWith("# EOF\n", open.Body, StringComparison.Ordinal);
        (await penstock.SendAsync("GET", "/metrics")).IsError(401);
    }

    [Fact]
    public async Task Answer_passes_the_check_of_Prometheus()
    {
        await using var backend = ScriptedBackend.Always("hello");
        await using AdminFixture penstock = await StartAsync(backend.Port);
        using var client = new RawClient(penstock.Host.Proxy.EndPoints[0]);
        await client.GetAsync();

        await PassesAsync("metrics", (await penstock.SendAsync("GET", "/metrics")).Body);
    }

    [Fact]
    public Task Alert_rules_pass_the_check_of_Prometheus() =>
        PassesAsync("rules", "", Path.Combine(Repository.Root, "deploy", "alerts.yml"));

    /// <summary>As rules, because promtool checks no queries that stand alone.</summary>
    [Fact]
    public async Task Queries_of_the_dashboard_pass_the_check_of_Prometheus()
    {
        JsonNode dashboard = JsonNode.Parse(await File.ReadAllTextAsync(
            Path.Combine(Repository.Root, "deploy", "grafana-dashboard.json"), TestContext.Current.CancellationToken))!;
        IEnumerable<string> queries = dashboard["panels"]!.AsArray()
            .SelectMany(static panel => panel!["targets"]?.AsArray() ?? [])
            .Select(static target => ((string)target!["expr"]!).Replace("$__rate_interval", "1m"));
        string rules = "groups:\n- name: g\n  rules:\n" + string.Concat(queries.Select(
            static (query, i) => $"  - {{ record: 'r{i}', expr: '{query.Replace("'", "''")}' }}\n"));

        await PassesAsync("rules", rules, "/dev/stdin");
    }

    [Theory]
    [InlineData("alerts.yml")]
    [InlineData("grafana-dashboard.json")]
    public async Task Rules_and_dashboard_use_metrics_that_exist(string file)
    {
        string text = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy", file),
            TestContext.Current.CancellationToken);
        string[] used = [.. MetricName().Matches(text).Select(static match => match.Value)];

        Assert.NotEmpty(used);
        Assert.Empty(used.Except(MetricList.All.SelectMany(static metric => metric.Kind == MetricKind.Histogram
            ? new[] { metric.Name + "_bucket" } : [metric.Name])));
    }

    private static async Task PassesAsync(string what, string input, params string[] files)
    {
        Assert.SkipUnless(File.Exists(Promtool), "promtool is not installed (Debian: prometheus)");
        using Process check = Process.Start(new ProcessStartInfo(Promtool, ["check", what, .. files])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = check.StandardError.ReadToEndAsync();
        Task<string> output = check.StandardOutput.ReadToEndAsync();
        await check.StandardInput.WriteAsync(input);
        check.StandardInput.Close();
        await check.WaitForExitAsync();

        Assert.True(check.ExitCode == 0 && (await errors).Length == 0, await errors + await output);
    }

    /// <summary>A client <c>own</c> with 20 tokens; for others a limit with 30, and one in dry run with 10.</summary>
    private static async Task<AdminFixture> StartAsync(int backend)
    {
        AdminFixture penstock = await AdminFixture.StartAsync(change: config => config with
        {
            Proxy = config.Proxy with
            {
                Loops = 2,
                Upstreams = [new() { Name = "web", Backends = [new() { Host = "127.0.0.1", Port = backend }] }],
                Limits = new Dictionary<string, LimitConfig>
                {
                    ["default"] = new(30, 0.001),
                    ["trial"] = new(10, 0.001) { By = LimitKey.All, DryRun = true },
                },
                EveryLimit = ["trial"],
            },
        });
        await penstock.CreateAsync("own", capacity: 20, tokens: 20);
        return penstock;
    }

    private static async Task<Dictionary<string, double>> ReadAsync(AdminFixture penstock)
    {
        Answer answer = await penstock.SendAsync("GET", "/metrics");
        Assert.Equal(200, answer.Status);
        return answer.Body.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(static line => line[0] != '#')
            .ToDictionary(static line => line[..line.LastIndexOf(' ')],
                static line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    private static long Decided(Dictionary<string, double> metrics, string limit, string decision) =>
        (long)metrics[$"penstock_limit_decisions_total{{limit=\"{limit}\",decision=\"{decision}\"}}"];

    private static string Label(string series, string label) =>
        Regex.Match(series, $"{label}=\"([^\"]*)\"", RegexOptions.None, TimeSpan.FromMilliseconds(MatchTimeoutMs))
            .Groups[1].Value;

    [GeneratedRegex("(penstock|process)_[a-z_]+(?=[ {\\[])", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex MetricName();
}
