using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Penstock.Control.Acme;
using Penstock.Control.Admin;
using Penstock.Control.Cluster;
using Penstock.Control.Config;
using Penstock.Control.Dashboard;
using Penstock.Control.Store;
using Penstock.Control.Takeover;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control;

/// <summary>Penstock cannot start with this configuration. The message is for the operator and is complete.</summary>
internal sealed class StartException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A running Penstock: starts and stops store, data plane and admin API in the right order.</summary>
internal sealed class PenstockHost : IAsyncDisposable
{
    private readonly IClientStore _store;
    private readonly BucketFlusher _flusher;
    private readonly ClusterMember? _member;
    private readonly ClientDirectory _directory;
    private readonly Lock _lock = new();
    private AdminServer? _admin;
    private OtlpExport? _otlp;
    private ExpiryWatch? _expiry;
    private TicketKeeper? _tickets;
    private Task? _stopped;

    private PenstockHost(PenstockConfig config, ProxyServer proxy, IClientStore store, BucketFlusher flusher,
        ClusterMember? member, Reloader reloader, CertificateKeeper certificates, ClientDirectory directory)
    {
        (Config, Proxy, _store, _flusher, _member, Reloader, Certificates, _directory) =
            (config, proxy, store, flusher, member, reloader, certificates, directory);
    }

    public PenstockConfig Config { get; }
    public ProxyServer Proxy { get; }
    public Reloader Reloader { get; }
    public CertificateKeeper Certificates { get; }

    /// <summary>What the dashboard reads; null when the admin API is off.</summary>
    public LiveFeed? Dashboard => _admin?.Feed;

    /// <summary>The address that the admin API listens on; null when it is off.</summary>
    public Uri? AdminUrl => _admin?.Url;

    /// <param name="read">Reads the configuration file again; null when there is none.</param>
    /// <param name="threshold">That of the loggers.</param>
    /// <param name="predecessor">A running process to take over from; null: none.</param>
    /// <exception cref="StartException">The store, a listener or the admin listener failed.</exception>
    public static async Task<PenstockHost> StartAsync(PenstockConfig config, ILoggerFactory loggers, TimeProvider time,
        Func<ConfigResult>? read = null, EventThreshold? threshold = null, Predecessor? predecessor = null)
    {
        threshold ??= new EventThreshold(MinLevel.Info);
        var marks = new Marks(time);
        loggers = new MarkingLoggers(loggers, marks);
        threshold.Configure(config.Log.Level);
        AdminServer.RequireToken(config.Admin);
        using AdminSocket? adminSocket = AdminSocket.Bind(config.Admin, shared: predecessor is not null);
        predecessor?.Quiesce();
        IClientStore store = ClientStores.Open(config.Store, time, predecessor?.StoreLock);
        TellIfNew(store, loggers);
        ProxyServer proxy = NewProxy(config.Proxy, store, loggers, time);
        predecessor?.Prepare(proxy);
        var directory = new ClientDirectory(store, proxy.Limiter, loggers.CreateLogger<ClientDirectory>());
        var backends = new StoredBackends(store, directory, proxy, loggers.CreateLogger<StoredBackends>());
        CertificateKeeper certificates = KeepCertificates(config, proxy, time, loggers);
        ClusterMember? member = null;
        BucketKeeper? keeper;
        try
        {
            member = ClusterMember.Join(config.Store, store, directory, backends.PutInForce, proxy.Limiter, time,
                loggers);
            if (member is null)
            {
                directory.Load();
                backends.PutInForce();
            }

            directory.Publish(config.Plans);
            keeper = BucketKeeper.Load(config.Proxy.Clients.SaveUnregistered, store, directory, proxy.Limiter,
                loggers.CreateLogger<BucketKeeper>());
            proxy.Start(beforeListening: () => predecessor?.TakeOver(
                proxy, keeper?.Buckets, loggers.CreateLogger<Predecessor>()));
            certificates.Start();
        }
        catch (Exception e) when (e is StoreException or ProxyStartException or StartException)
        {
            if (member is not null)
            {
                await member.DisposeAsync();
            }

            await certificates.DisposeAsync();
            await proxy.DisposeAsync();
            store.Dispose();
            throw e as StartException
                ?? new StartException(e is StoreException ? $"store {store.Name}: {e.Message}" : e.Message, e);
        }

        var flusher = new BucketFlusher(proxy.Limiter.Clients.CollectChanged, directory, time,
            loggers.CreateLogger<BucketFlusher>(), keeper);
        flusher.Start();
        var tokens = new AdminTokens(config.Admin);
        var reloader = new Reloader(config, proxy, directory, backends, tokens, threshold, certificates, read, time,
            loggers.CreateLogger<Reloader>());
        var host = new PenstockHost(config, proxy, store, flusher, member, reloader, certificates, directory);
        try
        {
            host._tickets = new TicketKeeper(config.Tls.Tickets, proxy, time, loggers.CreateLogger<TicketKeeper>());
            host._expiry = new ExpiryWatch(proxy, time, loggers.CreateLogger<ExpiryWatch>());
            host._otlp = OtlpExport.Start(() => new(proxy, directory, member, reloader), time,
                loggers.CreateLogger<OtlpExport>());
            await host.StartAdminAsync(adminSocket, new(proxy, directory, backends, member, reloader, threshold,
                tokens, certificates, marks), loggers, time, predecessor);
            proxy.CountDescriptors();
            return host;
        }
        catch (StartException)
        {
            await host.DisposeAsync();
            throw;
        }
    }

    private async Task StartAdminAsync(AdminSocket? socket, AdminSubjects subjects, ILoggerFactory loggers,
        TimeProvider time, Predecessor? predecessor)
    {
        ILogger log = loggers.CreateLogger<Predecessor>();
        bool waits = socket is { IsBound: false };
        if (waits)
        {
            predecessor?.StopAdmin(log);
        }
        if (socket is not null)
        {
            _admin = await AdminServer.StartAsync(socket, subjects, loggers, time);
        }
        if (!waits)
        {
            predecessor?.StopAdmin(log);
        }
    }

    /// <summary>Gets certificates by ACME, and gives them to the listeners.</summary>
    private static CertificateKeeper KeepCertificates(
        PenstockConfig config, ProxyServer proxy, TimeProvider time, ILoggerFactory loggers)
    {
        ILogger<CertificateKeeper> log = loggers.CreateLogger<CertificateKeeper>();
        var keeper = new CertificateKeeper(
            config.Tls.Acme, acme => AcmeStorages.Open(config.Store, acme.Storage), time, log);
        proxy.ChallengeAnswer = keeper.KeyAuthorizationOf;
        keeper.Changed = () =>
        {
            try
            {
                proxy.UseCertificates(
                    [.. keeper.Certificates.Select(static c => Given(c.Names[0], c.ChainPem, c.KeyPem))],
                    [.. keeper.Challenges.Select(static c => (c.Name, Given(c.Name, c.CertificatePem, c.KeyPem)))]);
            }
            catch (ProxyStartException e)
            {
                log.LogError(Events.CertificateBug, "certificates that were got cannot be used: {Cause}", e.Message);
            }
        };
        keeper.Load();
        return keeper;

        static CertificateConfig Given(string name, string chain, string key) =>
            new(PemText.Of($"the certificate of {name}", chain), PemText.Of($"the key of {name}", key));
    }

    private static void TellIfNew(IClientStore store, ILoggerFactory loggers)
    {
        if (store is SqliteStore { IsNew: true, IsLasting: true })
        {
            loggers.CreateLogger<PenstockHost>().LogInformation(
                Events.StoreCreated, "{Store} is new and has no clients", store.Name);
        }
    }

    private static ProxyServer NewProxy(
        ProxyConfig config, IClientStore store, ILoggerFactory loggers, TimeProvider time)
    {
        try
        {
            return new ProxyServer(config, loggers, time, store.SharesTokens);
        }
        catch (ProxyStartException e)
        {
            store.Dispose();
            throw new StartException(e.Message, e);
        }
    }

    /// <summary>Drains: reports "not ready", lets exchanges in flight finish, and saves the buckets. The admin API
    /// answers until the end. A second call waits for the first.</summary>
    /// <param name="hardStop">Ends the drain at once.</param>
    public Task StopAsync(CancellationToken hardStop)
    {
        lock (_lock)
        {
            return _stopped ??= StopOnceAsync(hardStop);
        }
    }

    public ValueTask DisposeAsync() => new(StopAsync(new CancellationToken(canceled: true)));

    /// <summary>The lock of the store's file; null when the store has no file.</summary>
    public SafeFileHandle? StoreLock => (_store as SqliteStore)?.FileLock;

    /// <summary>Saves all tokens, and writes nothing to the store until <see cref="Resume"/>, because another process
    /// reads it to take over. Edits are rejected. Stores that nodes share are not affected.</summary>
    public async Task QuiesceAsync()
    {
        if (!_store.SharesTokens)
        {
            await _flusher.PauseAsync();
            _directory.CloseForWrites("another Penstock process takes over from this one, try again in a second");
        }
    }

    /// <summary>The other process did not take over.</summary>
    public void Resume()
    {
        _directory.CloseForWrites(null);
        _flusher.Resume();
    }

    /// <summary>The tokens that are not in the store. Call it between <see cref="QuiesceAsync"/> and
    /// <see cref="Resume"/>.</summary>
    public IReadOnlyCollection<BucketTokens> CollectUnsaved()
    {
        List<BucketTokens> all = _store.SharesTokens ? []
            : [.. _flusher.CollectUnsaved().Select(static c => new BucketTokens(new(c.ClientId, null), c.Tokens))];
        Proxy.Limiter.CollectUnsaved(all);
        return all;
    }

    /// <summary>Another process has taken over: ends everything but the proxy, which serves its connections until they
    /// end, and the membership of a cluster.</summary>
    public async Task LeaveAsync()
    {
        _expiry?.Dispose();
        _tickets?.Dispose();
        await Certificates.DisposeAsync();
        if (_admin is { } admin)
        {
            _admin = null;
            await admin.DisposeAsync();
        }
    }

    private async Task StopOnceAsync(CancellationToken hardStop)
    {
        _expiry?.Dispose();
        _tickets?.Dispose();
        Task certificates = Certificates.DisposeAsync().AsTask(); // at once: no order needs to end
        await Proxy.StopAsync(hardStop);
        await certificates;
        if (_member is not null)
        {
            await _member.DisposeAsync();
        }

        if (!Proxy.HasHandedOver)
        {
            Resume(); // a process that was about to take over will not: save the tokens here
        }
        await _flusher.DisposeAsync();
        _store.Dispose();
        if (_otlp is not null)
        {
            await _otlp.StopAsync(hardStop);
        }

        if (_admin is not null)
        {
            await _admin.DisposeAsync();
        }

        await Proxy.DisposeAsync();
    }
}
