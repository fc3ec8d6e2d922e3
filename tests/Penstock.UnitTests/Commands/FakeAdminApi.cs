using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Penstock.Control.Admin;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.UnitTests.Commands;

/// <summary>An admin API whose every answer a test writes itself.</summary>
internal sealed class FakeAdminApi : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly List<string> _requests = [];

    /// <summary>By method and path without the query; the last answer of a list stays.</summary>
    private readonly Dictionary<string, Queue<(int Status, string Body)>> _answers = [];

    private FakeAdminApi() => _app = QuietApplication();

    /// <summary>A web application that logs nothing.</summary>
    public static WebApplication QuietApplication()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        return builder.Build();
    }

    public static DateTimeOffset Start { get; } = new(2026, 11, 27, 1, 2, 3, TimeSpan.Zero);

    /// <summary>Method, raw target and body of each request.</summary>
    public IReadOnlyList<string> Requests => _requests;

    public string Url => _app.Urls.Single();

    public static async Task<FakeAdminApi> StartAsync()
    {
        var api = new FakeAdminApi();
        api._app.Urls.Add("http://127.0.0.1:0");
        api._app.Run(api.AnswerAsync);
        await api._app.StartAsync();
        return api;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    public FakeAdminApi Answers(string request, string body, int status = 200)
    {
        if (!_answers.TryGetValue(request, out Queue<(int, string)>? queue))
        {
            _answers[request] = queue = [];
        }
        queue.Enqueue((status, body));
        return this;
    }

    public FakeAdminApi Shows(params UpstreamStatus[] upstreams) => Answers("GET /upstreams",
        JsonSerializer.Serialize(new UpstreamPage(upstreams), AdminJson.Types.UpstreamPage));

    public FakeAdminApi Shows(StatusReport status) => Answers("GET /status",
        JsonSerializer.Serialize(status, AdminJson.Types.StatusReport));

    public Task<CommandRun> RunAsync(params string[] args) => CommandRun.Of(Environment, args);

    public string? Environment(string name) => name switch
    {
        "PENSTOCK_ADMIN" => Url,
        "PENSTOCK_TOKEN" => "secret",
        _ => null,
    };

    public static UpstreamStatus Upstream(string name, params BackendStatus[] backends) =>
        new(name, BalanceAlgorithm.RoundRobin, 0, 0, 0, backends);

    public static BackendStatus Backend(string address) => new()
    {
        Address = address,
        Name = null,
        Added = false, Stored = false, Weight = 1,
        SlowStart = 1,
        Backup = false,
        MaxConnections = 0,
        State = BackendState.Ready,
        Drained = false,
        Health = BackendHealth.Up,
        Cause = null,
        ChangedAt = null,
        HealthChanges = 0,
        Ejected = null,
        EjectedUntil = null,
        EjectionIgnored = false,
        Ejections = 0,
        LatencyMs = 1.5,
        InFlight = 0,
        Requests = 0,
        Failures = 0,
        ChecksPassed = 0,
        ChecksFailed = 0,
    };

    public static StatusReport Status() => new()
    {
        Version = "1.2.3",
        Runtime = ".NET 10.0.0",
        Flavour = "jit",
        ProcessId = 77,
        StartedAt = Start,
        UptimeSeconds = 3700,
        Listeners = ["0.0.0.0:8080"],
        Connections = 5,
        Requests = new(12, new Dictionary<string, long> { ["200"] = 12 }, new Dictionary<string, long> { ["ok"] = 12 },
            [new(0.001, 10), new(0.01, 2), new(null, 0)]),
        Clients = 3,
        Limits =
        [
            new()
            {
                Name = "default", Capacity = 100, RatePerSec = 0.5, Concurrent = null, By = LimitKey.Client,
                DryRun = false, Admitted = 11, Rejected = 1, DryRunRejected = 0,
            },
        ],
        Store = new("sqlite:penstock.db", null, null),
        Configuration = new(Start, null),
        Warnings = [],
    };

    public static LimitedClient Limited(string client, long rejected) =>
        new(client, "address", "default", rejected, 0, Start);

    private async Task AnswerAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        string target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        string body = await reader.ReadToEndAsync();
        Queue<(int Status, string Body)> answers;
        lock (_requests)
        {
            _requests.Add($"{context.Request.Method} {target} {body}".TrimEnd());
            answers = _answers.GetValueOrDefault($"{context.Request.Method} {target.Split('?')[0]}")
                ?? new([(404, """{"code":404,"message":"the test has no such answer"}""")]);
        }
        (int status, string text) = answers.Count > 1 ? answers.Dequeue() : answers.Peek();
        context.Response.StatusCode = status;
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text));
    }
}
