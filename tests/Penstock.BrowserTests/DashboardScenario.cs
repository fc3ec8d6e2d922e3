using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>The built program with a SQLite store, backends that can be killed one by one, registered clients, and a
/// little load of several clients until it is disposed. The upstream <c>web</c> has the backends 0 to 2, the upstream
/// <c>reports</c> has the backend 3.</summary>
internal sealed class DashboardScenario : IAsyncDisposable
{
    private const int Backends = 4;
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-dashboard-").FullName;
    private readonly int[] _ports = FreePorts(2 + Backends);
    private readonly PenstockProcess?[] _backends = new PenstockProcess?[Backends];
    private readonly Dictionary<string, LoadRun> _load = [];
    private PenstockProcess? _penstock;

    private DashboardScenario(string? token)
    {
        Api = new() { BaseAddress = Admin, Timeout = TimeSpan.FromSeconds(60) };
        Api.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        File.WriteAllText(Path.Combine(_folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{_ports[0]}}
            admin: { listen: 127.0.0.1:{{_ports[1]}}, token: "{{token}}" }
            limits:
              default: { capacity: 100, rate: 50/s }
              reports: { capacity: 3, rate: 1/s }
            plans: { gold: { capacity: 200, rate: 100/s } }
            store: sqlite:penstock.db
            upstreams:
              web:
                backends: [{{string.Join(", ", Enumerable.Range(0, Backends - 1).Select(Address))}}]
                health_check: { path: /health, interval: 2s, timeout: 2s, fast_interval: 200ms }
              reports:
                backends: {{Address(Backends - 1)}}
                health_check: { path: /health, interval: 2s, timeout: 2s, fast_interval: 200ms }
            routes:
              - { path: /reports/*, upstream: reports, limit: reports, rewrite: { strip_prefix: /reports } }
              - { upstream: web }
            access_log: off
            """);
    }

    public Uri Proxy => new($"http://127.0.0.1:{_ports[0]}/");

    public Uri Admin => new($"http://127.0.0.1:{_ports[1]}/");

    /// <summary>Asks the admin API, with the token if it needs one.</summary>
    public HttpClient Api { get; }

    /// <summary>The load by client: <c>alice</c> and <c>carol</c> (plan gold) stay below their limits, <c>bob</c> is
    /// over his, <c>mallory</c> is blocked, and the address, <c>""</c>, is over the limit <c>reports</c>.</summary>
    public IReadOnlyDictionary<string, LoadRun> Load => _load;

    /// <param name="token">What the admin API asks for; null: no token.</param>
    public static async Task<DashboardScenario> StartAsync(string? token = null)
    {
        var scenario = new DashboardScenario(token);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, Backends).Select(scenario.StartBackendAsync));
            await scenario.StartAgainAsync();
            await scenario.RegisterAsync();
            scenario.StartLoad();
            return scenario;
        }
        catch
        {
            await scenario.DisposeAsync();
            throw;
        }
    }

    /// <summary>What the API calls a backend: <c>127.0.0.1:12345</c>.</summary>
    public string Address(int backend) => $"127.0.0.1:{_ports[2 + backend]}";

    /// <summary>Ends Penstock as an operator does.</summary>
    public async Task StopAsync()
    {
        _penstock!.Signal("TERM");
        await _penstock.ExitCodeAsync();
        await _penstock.DisposeAsync();
        _penstock = null;
    }

    /// <summary>Starts Penstock on the same ports and store as before.</summary>
    public async Task StartAgainAsync() => _penstock = await PenstockProcess.StartedAsync(_folder, "run");

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAgainAsync();
    }

    public async Task KillBackendAsync(int backend)
    {
        await _backends[backend]!.DisposeAsync();
        _backends[backend] = null;
    }

    /// <summary>Starts a backend that was killed.</summary>
    public async Task StartBackendAsync(int backend) => _backends[backend] = await PenstockProcess.StartedAsync(
        _folder, "backends", "--count", "1", "--start-port", $"{_ports[2 + backend]}");

    /// <summary>What the admin API answers to a GET.</summary>
    public Task<JsonElement> ApiAsync(string path) => Api.GetFromJsonAsync<JsonElement>(path);

    /// <summary>Waits until the API reports this health of a backend: <c>up</c> or <c>down</c>.</summary>
    public Task HealthAsync(int backend, string health) => Eventually.TrueAsync(async () =>
        (await ApiAsync("upstreams")).GetProperty("items").EnumerateArray()
            .SelectMany(static upstream => upstream.GetProperty("backends").EnumerateArray())
            .Single(b => b.GetProperty("address").GetString() == Address(backend))
            .GetProperty("health").GetString() == health, $"backend {backend} is {health}");

    public async ValueTask DisposeAsync()
    {
        foreach (LoadRun load in _load.Values)
        {
            await load.DisposeAsync();
        }
        Api.Dispose();
        foreach (PenstockProcess? process in _backends.Append(_penstock))
        {
            await (process?.DisposeAsync() ?? default);
        }
        Directory.Delete(_folder, recursive: true);
    }

    public Task RegisterAsync(string client, long capacity, double ratePerSec) =>
        PutAsync(client, new { capacity, rate_per_sec = ratePerSec });

    /// <summary>Changes the configuration file, which is read at the next reload.</summary>
    public void ChangeConfig(string from, string to)
    {
        string file = Path.Combine(_folder, "penstock.yaml"), text = File.ReadAllText(file);
        Assert.Contains(from, text);
        File.WriteAllText(file, text.Replace(from, to));
    }

    private async Task RegisterAsync()
    {
        await PutAsync("alice", new { capacity = 1000, rate_per_sec = 500 });
        await PutAsync("bob", new { capacity = 5, rate_per_sec = 1 });
        await PutAsync("carol", new { plan = "gold" });
        await PutAsync("mallory", new { access = "blocked" });
    }

    private async Task PutAsync(string client, object body) =>
        (await Api.PutAsJsonAsync($"clients/{Uri.EscapeDataString(client)}", body)).EnsureSuccessStatusCode();

    private void StartLoad()
    {
        Add("alice", "", 50);
        Add("bob", "", 100);
        Add("carol", "reports/", 200);
        Add("mallory", "", 500);
        Add("", "reports/", 250);

        void Add(string client, string path, int pauseMs) => _load[client] = new(new(Proxy, path), clients: 1,
            client.Length == 0 ? null : client, pause: TimeSpan.FromMilliseconds(pauseMs));
    }

    private static int[] FreePorts(int count)
    {
        var ports = new HashSet<int>();
        while (ports.Count < count)
        {
            ports.Add(PenstockProcess.FreePort());
        }
        return [.. ports];
    }
}
