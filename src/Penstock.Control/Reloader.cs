using Microsoft.Extensions.Logging;
using Penstock.Control.Acme;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy;

namespace Penstock.Control;

/// <summary>The result of a reload.</summary>
/// <param name="Error">Why nothing was changed; null when the new configuration is in force.</param>
/// <param name="Diagnostics">All errors and warnings about the file.</param>
/// <param name="Changes">See <see cref="SettingChanges"/>.</param>
/// <param name="RestartNeeded">Keys whose value has changed, but which are read only at start.</param>
internal sealed record ReloadResult(string? Error, IReadOnlyList<Diagnostic> Diagnostics,
    IReadOnlyList<string> Changes, IReadOnlyList<string> RestartNeeded)
{
    public string Summary =>
        Changes.Count switch { 0 => "nothing changed", 1 => "1 change", int n => $"{n} changes" };

    public static ReloadResult Failed(string error, params IReadOnlyList<Diagnostic> diagnostics) =>
        new(error, diagnostics, [], []);
}

/// <summary>A reload and when it was.</summary>
internal sealed record PastReload(DateTimeOffset At, ReloadResult Result);

/// <summary>Reads the configuration file again and puts it in force, completely or not at all. Thread-safe.</summary>
/// <param name="read">Reads the file; null when the configuration came from the command line.</param>
internal sealed class Reloader(
    PenstockConfig started, ProxyServer proxy, ClientDirectory directory, StoredBackends backends, AdminTokens tokens,
    EventThreshold threshold, CertificateKeeper certificates, Func<ConfigResult>? read, TimeProvider time, ILogger log)
{
    /// <summary>How many changes are logged one by one.</summary>
    private const int MaxChangesLogged = 50;

    private readonly Lock _lock = new();
    private readonly PenstockConfig _started = started;
    private volatile PenstockConfig _current = started;
    private volatile IReadOnlyList<FileVersion> _files = started.Files;
    private volatile string? _lastError;
    private volatile PastReload? _last;
    private long _lastReadTicks = time.GetUtcNow().UtcTicks;

    /// <summary>Why the last reload failed, or could not store the plans; null: it did not fail. Thread-safe.</summary>
    public string? LastError => _lastError;

    /// <summary>The last reload; null: there was none since the start. Thread-safe.</summary>
    public PastReload? Last => _last;

    /// <summary>When the configuration in force was read. Thread-safe.</summary>
    public DateTimeOffset LastRead => new(Volatile.Read(ref _lastReadTicks), TimeSpan.Zero);

    /// <summary>The configuration that was read last without errors; keys that are read only at start may still have
    /// other values. Thread-safe.</summary>
    public PenstockConfig Current => _current;

    /// <summary>The files that were read last, also if they had errors. Thread-safe.</summary>
    public IReadOnlyList<FileVersion> Files => _files;

    public ReloadResult Reload()
    {
        lock (_lock)
        {
            proxy.ReopenAccessLog(); // log rotation also sends HUP
            ReloadResult result = Apply();
            _lastError = read is null ? null : result.Error;
            _last = new(time.GetUtcNow(), result);
            foreach (Diagnostic diagnostic in result.Diagnostics)
            {
                bool isError = diagnostic.Severity == Severity.Error;
                log.Log(isError ? LogLevel.Error : LogLevel.Warning,
                    isError ? Events.ReloadFailed : Events.ConfigWarning, "{Remark} ({File}:{Line}:{Column})",
                    diagnostic.Message, diagnostic.File, diagnostic.Line, diagnostic.Column);
            }

            if (result.Error is { } error)
            {
                log.LogError(Events.ReloadFailed,
                    "configuration not reloaded, the previous one stays in force: {Cause}", error);
            }
            else
            {
                log.LogInformation(Events.Reloaded, "configuration reloaded, {Changes}{Rest}", result.Summary,
                    result.RestartNeeded.Count == 0 ? "" : "; these keys changed, but take effect only after a "
                        + "restart: " + string.Join(", ", result.RestartNeeded));
                foreach (string change in result.Changes.Take(MaxChangesLogged))
                {
                    log.LogInformation(Events.ConfigChanged, "{Change}", change);
                }
            }

            return result;
        }
    }

    private ReloadResult Apply()
    {
        if (read is null)
        {
            return ReloadResult.Failed(
                "the configuration came from the command line, so there is no file to read again");
        }

        if (proxy.Stopping)
        {
            return ReloadResult.Failed("Penstock is stopping");
        }

        DateTimeOffset readAt = time.GetUtcNow();
        ConfigResult result = read();
        (PenstockConfig? config, IReadOnlyList<Diagnostic>? diagnostics) = result;
        _files = result.Files;
        if (config is null)
        {
            int errors = diagnostics.Count(d => d.Severity == Severity.Error);
            return ReloadResult.Failed(errors == 1 ? "the file has an error" : $"the file has {errors} errors",
                diagnostics);
        }
        if (ExpiryWatch.Reject(config.Proxy, proxy, readAt) is { } invalid)
        {
            return ReloadResult.Failed(invalid, diagnostics);
        }
        try
        {
            List<string> later =
            [
                .. proxy.Apply(config.Proxy), .. FileKeys.Table.ReadAtStart(_started, config),
                .. tokens.Apply(config.Admin),
            ];
            threshold.Configure(config.Log.Level);
            certificates.Apply(config.Tls.Acme);
            Volatile.Write(ref _lastReadTicks, readAt.UtcTicks);
            IReadOnlyList<string> changes = SettingChanges.Between(_current.Settings, config.Settings);
            _current = config;
            directory.Publish(config.Plans);
            backends.PutInForce(); // for an upstream that is new, or an address that the file no longer has
            return new(null, diagnostics, changes, later);
        }
        catch (ProxyStartException e)
        {
            return ReloadResult.Failed(e.Message, diagnostics);
        }
        catch (StoreException e)
        {
            return ReloadResult.Failed("everything is in force except plans and stored backends, because the store "
                + $"failed: {e.Message}", diagnostics);
        }
    }
}
