using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>A Penstock with an admin API on a free port and a client that speaks to it.</summary>
internal sealed class AdminFixture : IAsyncDisposable
{
    private readonly HttpClient _http;

    private AdminFixture(PenstockHost host, RecordedLog log)
    {
        (Host, Log) = (host, log);
        _http = new(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = host.AdminUrl };
    }

    public static ProxyConfig ProxyConfig { get; } = new()
    {
        Listeners = [new(new IPEndPoint(IPAddress.Loopback, 0), "127.0.0.1:0")],
        Upstreams = [new() { Name = "web", Backends = [new() { Host = "127.0.0.1", Port = 9 }] }],
        Routes = [new() { Upstream = "web" }],
        Loops = 1,
        AccessLog = new() { To = AccessLogTarget.Off },
    };

    public PenstockHost Host { get; }
    public RecordedLog Log { get; }

    public static PenstockConfig Config(string store = "memory", string token = "") => new()
    {
        Proxy = ProxyConfig,
        Store = store,
        Admin = new() { Listen = new IPEndPoint(IPAddress.Loopback, 0), Token = token },
    };

    /// <param name="change">Changes the configuration for the start.</param>
    /// <param name="reload">Changes it for a reload; null: there is no file to read again.</param>
    public static async Task<AdminFixture> StartAsync(
        string store = "memory", string token = "", TimeProvider? time = null,
        Func<PenstockConfig, PenstockConfig>? change = null, Func<PenstockConfig, PenstockConfig>? reload = null)
    {
        var log = new RecordedLog();
        PenstockConfig config = Config(store, token);
        config = change is null ? config : change(config);
        return new(await PenstockHost.StartAsync(config, log.Factory, time ?? TimeProvider.System,
            reload is null ? null : () => new ConfigResult(reload(config), [])), log);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await Host.DisposeAsync();
    }

    public async Task<Answer> SendAsync(
        string method, string target, string? body = null, string type = "application/json",
        params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new(method), target);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            if (type.Length > 0)
            {
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
            }
        }
        foreach ((string? name, string? value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        string? mediaType = response.Content.Headers.ContentType?.MediaType;
        string text = await StateStream.BodyOf(response);
        return new(
            (int)response.StatusCode, mediaType == "application/json" ? text.TrimEnd('\n') : text,
            mediaType, response.Headers.Location?.OriginalString,
            response.Headers.ETag?.Tag, string.Join(", ", response.Content.Headers.Allow),
            response.Headers.WwwAuthenticate.ToString());
    }

    /// <summary>Registers a client that hardly refills.</summary>
    public async Task CreateAsync(string id, int capacity = 100, double tokens = 50)
    {
        string body = JsonSerializer.Serialize(
            new { client_id = id, capacity, rate_per_sec = 0.001, current_tokens = tokens });
        Assert.Equal(201, (await SendAsync("POST", "/clients", body)).Status);
    }
}

internal sealed record Answer(
    int Status, string Body, string? Type, string? Location, string? ETag, string Allow, string Authenticate)
{
    public JsonElement Json => JsonElement.Parse(Body);

    public JsonElement this[string member] => Json.GetProperty(member);

    public string Message => this["message"].GetString()!;

    /// <summary>Asserts that this is an error with the body every error has.</summary>
    public Answer IsError(int status, string message = "")
    {
        Assert.Equal(status, Status);
        Assert.Equal("application/json", Type);
        Assert.Equal(status, this["code"].GetInt32());
        Assert.Contains(message, Message);
        return this;
    }

    public Answer HasFaults(params string[] faults)
    {
        IsError(400);
        Assert.Equal(faults.Order(), this["errors"].EnumerateArray()
            .Select(fault => $"{fault.GetProperty("field").GetString()} {fault.GetProperty("message").GetString()}")
            .Order());
        return this;
    }
}
