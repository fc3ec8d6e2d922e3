using System.Net;
using System.Net.Mime;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using Penstock.Control.Acme;
using Penstock.Control.Cluster;
using Penstock.Control.Config;
using Penstock.Control.Dashboard;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Connections;

namespace Penstock.Control.Admin;

/// <summary>What the API shows and changes.</summary>
/// <param name="Member">Null when this node shares its store with no other.</param>
internal sealed record AdminSubjects(
    ProxyServer Proxy, ClientDirectory Directory, StoredBackends Backends, ClusterMember? Member, Reloader Reloader,
    EventThreshold Threshold, AdminTokens Tokens, CertificateKeeper Certificates, Marks Marks);

/// <summary>Marks a HEAD request, which is handled as GET: the endpoint need not write a body.</summary>
internal sealed record HeadOnly
{
    public static readonly HeadOnly Is = new();
}

/// <summary>Serves the admin API on a separate listener, with Kestrel.</summary>
internal sealed class AdminServer : IAsyncDisposable
{
    public const int MaxBodyBytes = 64 * 1024;

    private const string FormType = "application/x-www-form-urlencoded";

    private readonly WebApplication _app;

    private AdminServer(WebApplication app, LiveFeed feed, Uri url) => (_app, Feed, Url) = (app, feed, url);

    /// <summary>What the dashboard reads.</summary>
    public LiveFeed Feed { get; }

    /// <summary>The address that the API listens on.</summary>
    public Uri Url { get; }

    /// <exception cref="StartException">Other machines could use the API without a token.</exception>
    public static void RequireToken(AdminConfig config)
    {
        if (config is { IsOpen: true, HasToken: false })
        {
            throw new StartException($"other machines can reach the admin listener {config.Listen}: set admin.token "
                + "or admin.tokens, or listen on 127.0.0.1");
        }
    }

    /// <exception cref="StartException">The address cannot be bound.</exception>
    public static async Task<AdminServer> StartAsync(
        AdminSocket socket, AdminSubjects subjects, ILoggerFactory loggers, TimeProvider time)
    {
        (ProxyServer proxy, ClientDirectory directory, StoredBackends backends, ClusterMember? member,
            Reloader reloader, _, AdminTokens tokens, _, Marks marks) = subjects;
        EndPoint listen = socket.EndPoint;
        var started = new StartedLog(loggers);
        WebApplication app = Build(socket, proxy, started);
        var failed = new FailedLogins(loggers.CreateLogger<FailedLogins>(), time);
        Pipe(app, new AdminGuard(tokens, failed), new AdminAudit(loggers.CreateLogger<AdminAudit>()));
        app.MapClients(directory);
        app.MapAliases(directory);
        app.MapPlans(directory);
        app.MapStatus(subjects, time);
        app.MapUpstreams(proxy);
        app.MapBackends(proxy, backends, reloader);
        app.MapConfig(reloader);
        app.MapCluster(member);
        app.MapRejections(proxy);
        app.MapBuckets(proxy);
        app.MapSimulation();
        app.MapMetrics(subjects);
        app.MapLog(subjects.Threshold, loggers.CreateLogger<AdminServer>());
        var feed = new LiveFeed(subjects, time, loggers.CreateLogger<LiveFeed>());
        app.MapDashboard(feed, marks, tokens);
        try
        {
            await app.StartAsync();
            started.Opens();
        }
        catch (Exception e) when (e is IOException or SocketException or UnauthorizedAccessException)
        {
            await feed.DisposeAsync();
            await app.DisposeAsync();
            SocketException? cause = e as SocketException ?? e.InnerException as SocketException
                ?? e.InnerException?.InnerException as SocketException;
            throw AdminSocket.Failed(listen, cause ?? e.InnerException ?? e);
        }
        IServerAddressesFeature bound =
            app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>();
        Uri url = listen is UnixDomainSocketEndPoint ? new($"unix:{listen}") : new(bound.Addresses.First());
        return new(app, feed, url);
    }

    public async ValueTask DisposeAsync()
    {
        await Feed.DisposeAsync();
        await _app.DisposeAsync();
    }

    /// <summary>Ends an answer in JSON with a new line, so that the prompt of a terminal is not glued to it.</summary>
    private static async Task EndLineAsync(HttpContext context, RequestDelegate next)
    {
        await next(context);
        if (context.Response is { ContentType: { } type, ContentLength: null } response
            && type.StartsWith(MediaTypeNames.Application.Json, StringComparison.Ordinal))
        {
            await response.Body.WriteAsync("\n"u8.ToArray());
        }
    }

    private static WebApplication Build(
        AdminSocket socket, ProxyServer proxy, ILoggerFactory loggers)
    {
        // The empty builder reads no appsettings.json and no ASPNETCORE_ variables.
        WebApplicationBuilder builder =
            WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "Penstock" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
            kestrel.Listen(socket.EndPoint, options => options.Protocols = HttpProtocols.Http1);
        });
        builder.Services.Configure<SocketTransportOptions>(sockets =>
            sockets.CreateBoundListenSocket = _ => socket.Take());
        builder.Services.AddSingleton<IConnectionListenerFactory>(static services => new BoundedConnections(
            new SocketTransportFactory(services.GetRequiredService<IOptions<SocketTransportOptions>>(),
                services.GetRequiredService<ILoggerFactory>()), Descriptors.AdminShare));
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton(proxy);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(json => AdminJson.Configure(json.SerializerOptions));
        builder.Services.AddPenstockOpenApi();
        return builder.Build();
    }

    private static void Pipe(WebApplication app, AdminGuard guard, AdminAudit audit)
    {
        app.Use(static (context, next) => BoundedConnections.CountAsync(context, next));
        app.Use((context, next) =>
        {
            if (HttpMethods.IsHead(context.Request.Method))
            {
                context.Request.Method = HttpMethods.Get;
                context.Features.Set(HeadOnly.Is);
            }

            // The type that curl -d and HTML forms declare, whatever the body is.
            if (MediaTypeHeaderValue.TryParse(context.Request.ContentType, out MediaTypeHeaderValue? type)
                && type.MediaType.Equals(FormType, StringComparison.OrdinalIgnoreCase))
            {
                context.Request.ContentType = null;
            }

            // Use the path as it was sent: an escaped '/', '%' or '.' can be part of a client's id, so the endpoint
            // decodes it after routing has split the segments.
            string target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
            if (target.StartsWith('/'))
            {
                context.Request.Path = new PathString(target.Split('?', 2)[0]);
            }

            return next(context);
        });
        app.Use(EndLineAsync);
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            ExceptionHandler = context => new ApiError(500, "bug in Penstock: the log has the details")
                .ToResult().ExecuteAsync(context),
        });
        app.UseStatusCodePages(pages => Explain(pages.HttpContext).ToResult().ExecuteAsync(pages.HttpContext));
        app.Use((context, next) =>
        {
            AddSecurityFields(context.Response.Headers);
            return next(context);
        });
        app.UseRouting();
        app.Use((context, next) => audit.WatchAsync(context, next));
        app.Use(async (context, next) =>
        {
            if (await guard.CheckAsync(context) is { } error)
            {
                await error.ToResult().ExecuteAsync(context);
            }
            else
            {
                await next(context);
            }
        });
        app.Use((context, next) => HasEntityTags.Check(context) is { } error
            ? error.ToResult().ExecuteAsync(context)
            : next(context));
        app.UseSwaggerUI(ui =>
        {
            ui.RoutePrefix = Needs.Page[1..];
            ui.DocumentTitle = "Penstock admin API";
            ui.SwaggerEndpoint("/openapi/v1.json", "Penstock admin API");
        });
        app.MapOpenApi("/openapi/{documentName}.json").WithMetadata(Needs.Nothing);
    }

    /// <summary>Prevents that a page of another site shows the API's pages in a frame and makes the operator click in
    /// it (clickjacking).</summary>
    private static void AddSecurityFields(IHeaderDictionary fields)
    {
        fields.ContentSecurityPolicy = "frame-ancestors 'none'";
        fields.XFrameOptions = "DENY"; // for browsers without frame-ancestors
        fields.XContentTypeOptions = "nosniff";
        fields["Referrer-Policy"] = "no-referrer";
    }

    /// <summary>The body for an error that the framework answers with only a status.</summary>
    private static ApiError Explain(HttpContext context)
    {
        (HttpRequest request, int status) = (context.Request, context.Response.StatusCode);
        return new(status, status switch
        {
            404 => $"the API has no path {request.Path}; see /docs",
            405 => $"{request.Path} does not support {request.Method}; it supports {context.Response.Headers.Allow}",
            415 => "send the body as Content-Type: application/json",
            _ => ReasonPhrases.GetReasonPhrase(status),
        });
    }

    /// <summary>Makes the framework ignore signals, because the program handles them.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;
        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    /// <summary>Logs nothing until the server has started. If the start fails, the exception says why in one sentence;
    /// the framework would log the same with two stack traces.</summary>
    private sealed class StartedLog(ILoggerFactory inner) : ILoggerFactory
    {
        private volatile bool _open;

        public void Opens() => _open = true;

        public ILogger CreateLogger(string categoryName) => new Log(this, inner.CreateLogger(categoryName));

        public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

        public void Dispose()
        {
            // The creator of the inner factory disposes it.
        }

        private sealed class Log(StartedLog factory, ILogger inner) : ILogger
        {
            IDisposable? ILogger.BeginScope<TState>(TState state) => inner.BeginScope(state);

            public bool IsEnabled(LogLevel logLevel) => factory._open && inner.IsEnabled(logLevel);

            void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
                Func<TState, Exception?, string> formatter)
            {
                if (factory._open)
                {
                    inner.Log(logLevel, eventId, state, exception, formatter);
                }
            }
        }
    }
}
