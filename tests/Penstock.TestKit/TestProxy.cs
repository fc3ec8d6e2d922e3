using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock.TestKit;

/// <summary>A data plane in this process, on a free port, in front of the given backends.</summary>
public sealed class TestProxy : IAsyncDisposable
{
    public TestProxy(ProxyConfig config)
    {
        Server = new ProxyServer(TestTls.Apply(config), Log);
        Server.Start();
        NoteListeners();
    }

    public ProxyServer Server { get; }
    public LogLines Log { get; } = new();
    public EndPoint EndPoint => Server.EndPoints[0];
    public Uri Url => new(Server.Urls[0]);

    /// <summary>One upstream <c>web</c> and a route to it, one loop, short timeouts, no access log.</summary>
    public static ProxyConfig Config(params int[] ports) => new()
    {
        Listeners = [new ListenerConfig(new IPEndPoint(IPAddress.Loopback, 0), "127.0.0.1:0")],
        Upstreams = [new UpstreamConfig { Name = "web", Backends = [.. ports.Select(Backend)] }],
        Routes = [new RouteConfig { Upstream = "web" }],
        Loops = 1,
        AccessLog = new() { To = AccessLogTarget.Off },
        Timeouts = new TimeoutsConfig
        {
            Connect = TimeSpan.FromSeconds(2),
            Head = TimeSpan.FromSeconds(5),
            Response = TimeSpan.FromSeconds(5),
            Idle = TimeSpan.FromSeconds(30),
            BackendIdle = TimeSpan.FromSeconds(30), // longer than any test leaves one
            Shutdown = TimeSpan.FromSeconds(5),
        },
    };

    public static TestProxy To(params ScriptedBackend[] backends) =>
        new(Config([.. backends.Select(static b => b.Port)]));

    public static BackendConfig Backend(int port) => new() { Host = "127.0.0.1", Port = port };

    /// <summary>Changes the configuration of the running proxy.</summary>
    /// <returns>What needs a restart.</returns>
    public IReadOnlyList<string> Apply(ProxyConfig config)
    {
        IReadOnlyList<string> needRestart = Server.Apply(TestTls.Apply(config));
        NoteListeners();
        return needRestart;
    }

    public RawClient Connect() => new(EndPoint);

    /// <summary>One GET on a connection of its own.</summary>
    public async Task<RawResponse> GetAsync(string target = "/", string fields = "")
    {
        using RawClient client = Connect();
        return await client.GetAsync(target, fields);
    }

    public async ValueTask DisposeAsync()
    {
        NoteListeners(areOpen: false); // another server may get their ports
        await Server.DisposeAsync();
    }

    private void NoteListeners(bool areOpen = true)
    {
        foreach ((EndPoint endPoint, string url) in Server.EndPoints.Zip(Server.Urls))
        {
            if (endPoint is IPEndPoint { Port: var port })
            {
                TestTls.Note(port, areOpen && url.StartsWith("https", StringComparison.Ordinal));
            }
        }
    }
}
