using System.Text;
using System.Text.Json;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Admin;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>One of several Penstocks in this process that share a store, each with its listener and admin API.
/// </summary>
internal sealed class Node : IAsyncDisposable
{
    private readonly HttpClient _http;

    private Node(PenstockHost host, RecordedLog log)
    {
        (Host, Log) = (host, log);
        _http = new() { BaseAddress = host.AdminUrl };
    }

    public PenstockHost Host { get; }
    public RecordedLog Log { get; }
    public System.Net.EndPoint EndPoint => Host.Proxy.EndPoints[0];

    /// <param name="patience">How long requests wait for tokens.</param>
    public static async Task<Node> StartAsync(
        string store, ScriptedBackend backend, TimeProvider? time = null, TimeSpan? patience = null)
    {
        var log = new RecordedLog();
        ProxyConfig proxy = TestProxy.Config(backend.Port);
        PenstockConfig config = AdminFixture.Config(store) with
        {
            Proxy = proxy with
            {
                // Long timeouts, because an answer may take long on a loaded machine and no test is about that.
                Timeouts = proxy.Timeouts with { Tokens = patience ?? TimeSpan.FromSeconds(20) },
                Clients = new() { Identify = [new(IdentityKind.Header, "X-Client-ID"), new(IdentityKind.Address, "")] },
            },
        };
        return new(await PenstockHost.StartAsync(config, log.Factory, time ?? TimeProvider.System), log);
    }

    /// <summary>Starts this many nodes, one after another, and waits until each of them sees all.</summary>
    public static async Task<List<Node>> StartAsync(int count, string store, ScriptedBackend backend)
    {
        var nodes = new List<Node>();
        for (int i = 0; i < count; i++)
        {
            nodes.Add(await StartAsync(store, backend));
        }

        foreach (Node node in nodes)
        {
            await node.SeesAsync(count);
        }

        return nodes;
    }

    /// <summary>Waits until this node sees this many nodes alive, including itself.</summary>
    public Task SeesAsync(int count) => Eventually.TrueAsync(
        async () => (await GetAsync("/cluster")).Body.Split("\"alive\":true").Length == count + 1,
        $"the node sees {count} alive");

    /// <summary>Waits until /readyz and /cluster both say that the database is reachable, or that it is not and why.
    /// </summary>
    public Task ConnectedAsync(bool isSo) => Eventually.TrueAsync(async () =>
    {
        ((int Status, string Body) ready, (int Status, string Body) cluster) =
            (await GetAsync("/readyz"), await GetAsync("/cluster"));
        Assert.Equal((200, 200), (ready.Status, cluster.Status));
        return ready.Body.Contains(isSo ? "\"status\":\"ready\"" : "\"status\":\"degraded\"")
            && ready.Body.Contains("share of each limit") != isSo
            && cluster.Body.Contains(isSo ? "\"status\":\"connected\"" : "\"status\":\"alone\"")
            && cluster.Body.Contains("\"cause\":") != isSo;
    }, isSo ? "the node is back by itself" : "the node says that it is alone");

    public async Task<(int Status, string Body)> SendAsync(string method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(new(method), path);
        if (body is not null)
        {
            request.Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        }

        using HttpResponseMessage response = await _http.SendAsync(request);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    public Task<(int Status, string Body)> GetAsync(string path) => SendAsync("GET", path);

    public async Task PutAsync(string id, long capacity, double rate, double? tokens = null)
    {
        (int status, string body) = await SendAsync("PUT", "/clients/" + id, tokens is null
            ? new { capacity, rate_per_sec = rate }
            : new { capacity, rate_per_sec = rate, current_tokens = tokens });
        Assert.True(status is 200 or 201, body);
    }

    /// <summary>Waits until this node knows the client with that limit.</summary>
    public Task KnowsAsync(string id, long capacity) => Eventually.TrueAsync(
        () => Host.Proxy.Limiter.Clients.TryGet(id, out ClientState client) && client.Limit.Capacity == capacity,
        $"the node knows {id} with capacity {capacity}");

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await Host.DisposeAsync();
    }
}
