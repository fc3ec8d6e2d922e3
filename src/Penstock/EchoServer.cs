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

/// <summary>Servers to try a balancer on: one bare Kestrel, without host or middleware, that listens on many
/// addresses and names the one that was asked.</summary>
internal sealed class EchoServer : IHttpApplication<HttpContext>, IAsyncDisposable
{
    // ab -c 1000 opens its connections at once; the system's default queue of 512 would make some wait a second
    private const int Backlog = 4096;

    /// <summary>How many connections the servers of a demo take together: a third of what there is.</summary>
    public static int DemoConnections => Math.Max(16, (Descriptors.Limit - Descriptors.Minimum) / 3);

    private readonly KestrelServer _kestrel;
    private readonly IReadOnlyList<IPEndPoint> _addresses;

    /// <param name="most">Connections at once; the descriptors of the process must allow for them.</param>
    public EchoServer(IReadOnlyList<IPEndPoint> addresses, int most)
    {
        _addresses = addresses;
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MinResponseDataRate = null; // a slow reader is something to try a balancer with
        foreach (IPEndPoint address in addresses)
        {
            options.Listen(address);
        }

        var sockets = new SocketTransportOptions { Backlog = Backlog };
        _kestrel = new(Options.Create(options),
            new BoundedConnections(
                new SocketTransportFactory(Options.Create(sockets), NullLoggerFactory.Instance), most),
            NullLoggerFactory.Instance);
    }

    /// <summary>As bound, in the order given.</summary>
    public IReadOnlyList<int> Ports =>
        [.. _kestrel.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Select(a => new Uri(a).Port)];

    /// <summary>Null, or why an address cannot be listened on.</summary>
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
        // nobody misses the answer of a server made for trying
        await _kestrel.StopAsync(new CancellationToken(canceled: true));
        _kestrel.Dispose();
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures) =>
        new DefaultHttpContext(contextFeatures);

    Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context) =>
        BoundedConnections.CountAsync(context, EchoServerAnswers.AnswerAsync);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
    }
}
