using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Penstock.Control.Admin;
using Penstock.Proxy;

namespace Penstock;

/// <summary>Echo servers for trying out a balancer: one Kestrel, without host or middleware, that listens on many
/// addresses; each answer names the address that got the request.</summary>
internal sealed class EchoServer : IHttpApplication<HttpContext>, IAsyncDisposable
{
    // ab -c 1000 opens its connections at once; with the system's default queue of 512 some would wait a second.
    private const int Backlog = 4096;

    /// <summary>The maximum number of connections of all servers of a demo: a third of the descriptors.</summary>
    public static int DemoConnections => Math.Max(16, (Descriptors.Limit - Descriptors.Minimum) / 3);

    private readonly KestrelServer _kestrel;
    private readonly IReadOnlyList<IPEndPoint> _addresses;
    private readonly SwitchedListeners _listeners;
    private readonly RequestDelegate _answer;

    /// <param name="most">The maximum number of connections; the process must have descriptors for them.</param>
    public EchoServer(IReadOnlyList<IPEndPoint> addresses, int most)
    {
        _addresses = addresses;
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MinResponseDataRate = null; // operators also try out slow readers
        foreach (IPEndPoint address in addresses)
        {
            options.Listen(address);
        }

        var sockets = new SocketTransportOptions { Backlog = Backlog };
        _listeners = new(new SocketTransportFactory(Options.Create(sockets), NullLoggerFactory.Instance));
        _answer = context => EchoServerSwitch.Wants(context)
            ? EchoServerSwitch.AnswerAsync(context, _listeners) : EchoServerAnswers.AnswerAsync(context);
        _kestrel = new(Options.Create(options), new BoundedConnections(_listeners, most), NullLoggerFactory.Instance);
    }

    /// <summary>The ports of the servers, in the order of the addresses.</summary>
    public IReadOnlyList<int> Ports =>
        [.. _kestrel.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Select(a => new Uri(a).Port)];

    /// <summary>Starts the servers. Returns why one cannot listen, or null.</summary>
    public async Task<string?> StartAsync()
    {
        try
        {
            await _kestrel.StartAsync(this, CancellationToken.None);
            return null;
        }
        catch (IOException taken) // its message names the address
        {
            return $"{taken.Message.TrimEnd('.')}; choose another --start-port";
        }
        catch (SocketException failure)
        {
            return $"cannot listen on {_addresses[0].Address}: {failure.Message}; choose another --listen-address";
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The answers of these servers are not needed any more, so they stop at once.
        await _kestrel.StopAsync(new CancellationToken(canceled: true));
        _kestrel.Dispose();
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures) =>
        new DefaultHttpContext(contextFeatures);

    Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context) =>
        BoundedConnections.CountAsync(context, _answer);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
    }
}
