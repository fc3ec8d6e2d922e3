using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>The base of scenarios with the real program: a folder for its files, its ports, a client.</summary>
public abstract class ProgramScenarios : IDisposable
{
    private protected string Folder { get; } = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private protected HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(20) };
    private protected int Port { get; } = PenstockProcess.FreePort();
    private protected int AdminPort { get; } = PenstockProcess.FreePort();
    private protected Uri Proxy => new($"http://127.0.0.1:{Port}/");
    private protected Uri Admin => new($"http://127.0.0.1:{AdminPort}/");

    public void Dispose()
    {
        Http.Dispose();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Runs a command that ends by itself.</summary>
    /// <returns>What it wrote to both outputs.</returns>
    private protected async Task<string> OutputAsync(string program, int code, params string[] words)
    {
        await using var process = PenstockProcess.StartProgram(program, Folder, words);
        int exit = await process.ExitCodeAsync();
        string output = string.Join('\n', process.Lines);
        Assert.True(exit == code, $"{string.Join(' ', words)}: exit code {exit}, not {code}: {output}");
        return output;
    }

    private protected static Task<PenstockProcess> EchoAsync(int port) =>
        PenstockProcess.StartedAsync(null, "backends", "--count", "1", "--start-port", $"{port}");

    /// <summary>Waits until the API reports this state of the backend on that port.</summary>
    private protected Task BackendAsync(int port, Predicate<JsonElement> isSo) => Eventually.TrueAsync(async () =>
    {
        JsonElement all = await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "upstreams"));
        return all.GetProperty("items")[0].GetProperty("backends").EnumerateArray().Any(b => isSo(b)
            && b.GetProperty("address").GetString()!.EndsWith($":{port}", StringComparison.Ordinal));
    }, $"the API says so of the backend on port {port}");

    /// <summary>Sends requests one after the other, which must all pass.</summary>
    /// <param name="fields">Lines of the head, each with its end.</param>
    private protected async Task SendAsync(int requests, string fields = "")
    {
        using var client = new RawClient(new IPEndPoint(IPAddress.Loopback, Port));
        for (int i = 0; i < requests; i++)
        {
            Assert.Equal(200, (await client.GetAsync("/", fields)).Status);
        }
    }

    /// <summary>Sends requests until a condition holds.</summary>
    private protected Task UntilAsync(Func<bool> isSo, string what) => Eventually.TrueAsync(async () =>
    {
        await SendAsync(10);
        return isSo();
    }, what);

    /// <summary>The statuses of requests one after the other, by the client with that key.</summary>
    private protected async Task<string> StatusesAsync(string path, string key, int requests)
    {
        var statuses = new List<int>();
        for (int i = 0; i < requests; i++)
        {
            statuses.Add((int)(await GetAsync(path, key)).StatusCode);
        }
        return string.Join(' ', statuses);
    }

    private protected Task<HttpResponseMessage> GetAsync(string path, string? key = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Proxy, path));
        if (key is not null)
        {
            request.Headers.Add("X-API-Key", key);
        }
        return Http.SendAsync(request);
    }
}
