using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.Control.Takeover;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock;

/// <summary>How processes find each other to take over.</summary>
/// <param name="Address">See <see cref="TakeoverText.AddressOf"/>.</param>
/// <param name="TakesOver">Take over from the process that runs, if one does.</param>
internal sealed record TakeoverPlan(string Address, bool TakesOver);

/// <summary>Runs a balancer until a signal stops it; used by <c>demo</c>, <c>proxy</c> and <c>run</c>.</summary>
internal static class Serving
{
    /// <param name="read">Reads the configuration file again; null when there is none.</param>
    /// <param name="takeover">Null: no process takes over, neither this nor another one.</param>
    public static async Task<int> RunAsync(PenstockConfig config, IReadOnlyList<Diagnostic> warnings,
        Terminal terminal, CancellationToken stop, Func<ConfigResult>? read = null, TakeoverPlan? takeover = null)
    {
        if (Descriptors.Limit < Descriptors.Minimum)
        {
            return terminal.Fail($"this process may open {Descriptors.Limit} descriptors, which is not enough to "
                + $"start: allow at least {Descriptors.Minimum}, with ulimit -n or LimitNOFILE");
        }

        EarlyThreads.Start();
        EventThreshold threshold = Logs.Threshold(terminal);
        using ILoggerFactory loggers = Logs.Create(terminal, threshold);
        ILogger log = loggers.CreateLogger("Penstock");
        using var signals = new StopSignals(log, stop);
        foreach (Diagnostic warning in warnings)
        {
            log.LogWarning(Events.ConfigWarning, "{Warning} ({File}:{Line}:{Column})",
                warning.Message, warning.File, warning.Line, warning.Column);
        }

        PenstockHost host;
        try
        {
            using Predecessor? predecessor =
                takeover is { TakesOver: true } ? Predecessor.Find(takeover.Address) : null;
            host = await PenstockHost.StartAsync(OnTerminal(config, terminal)!, loggers, TimeProvider.System,
                read is null ? null : ReadAgain, threshold, predecessor);
            if (predecessor is not null)
            {
                log.LogInformation(Events.TookOver, "took over from process {Process}, version {Version}",
                    predecessor.Process, predecessor.Version);
            }
        }
        catch (StartException failure)
        {
            return terminal.Fail(failure.Message);
        }
        await using (host)
        {
            await ServeAsync(host, terminal, signals, takeover, log);
        }
        return ExitCode.Ok;

        ConfigResult ReadAgain()
        {
            ConfigResult result = read();
            return result with { Config = OnTerminal(result.Config, terminal) };
        }
    }

    /// <summary>Serves until a signal asks to stop or another process has taken over, and stops.</summary>
    private static async Task ServeAsync(
        PenstockHost host, Terminal terminal, StopSignals signals, TakeoverPlan? takeover, ILogger log)
    {
        signals.HangUp = () => Reload(host, log);
        signals.Reopen = host.Proxy.ReopenAccessLog;
        await using TakeoverServer? offer =
            takeover is null ? null : TakeoverServer.Start(host, takeover.Address, log);
        signals.Upgrade = offer is null ? null : new SuccessorProcess(offer.HandedOver, log).Start;
        Announce(host, terminal, log);
        await using (new ConfigWatcher(host.Reloader, () => Reload(host, log), TimeProvider.System, log))
        {
            await (offer is null ? signals.Asked : Task.WhenAny(signals.Asked, offer.HandedOver));
        }
        if (offer is { HandedOver.IsCompleted: true })
        {
            signals.Upgrade = null;
            await EndAfterHandOverAsync(host, await offer.HandedOver, signals, log);
        }
        else
        {
            SystemdNotification.Stopping();
        }
        long started = Stopwatch.GetTimestamp();
        if (terminal.Interactive)
        {
            terminal.Out.WriteLine("\nstopping; Ctrl+C again stops at once");
        }

        await host.StopAsync(signals.Immediate);
        log.LogInformation(Events.Stopped, "stopped in {DurationMs} ms",
            (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    /// <summary>Waits until the last client connection has ended, or a signal asks to stop.</summary>
    private static async Task EndAfterHandOverAsync(
        PenstockHost host, int successor, StopSignals signals, ILogger log)
    {
        SystemdNotification.MainProcess(successor);
        log.LogInformation(Events.HandedOver,
            "process {Process} has taken over; client connections that end here: {Count}", successor,
            host.Proxy.OpenConnections);
        await Task.WhenAny(host.Proxy.Drained, signals.Asked);
    }

    /// <summary>Access lines for a person if stdout is a terminal.</summary>
    private static PenstockConfig? OnTerminal(PenstockConfig? config, Terminal terminal)
    {
        if (config is null || !terminal.Interactive)
        {
            return config;
        }
        TerminalLines lines = terminal.Color ? TerminalLines.Coloured : TerminalLines.Plain;
        ProxyConfig proxy = config.Proxy;
        return config with { Proxy = proxy with { AccessLog = proxy.AccessLog with { Terminal = lines } } };
    }

    private static void Reload(PenstockHost host, ILogger log)
    {
        if (host.Proxy.Stopping)
        {
            host.Reloader.Reload(); // it fails and logs that; systemd is not notified, the stop continues
            return;
        }
        SystemdNotification.Reloading();
        try
        {
            host.Reloader.Reload();
        }
        catch (Exception bug) // on the thread of a signal it would end the process
        {
            log.LogError(Events.ReloadBug, bug, "the reload failed: bug in Penstock");
        }
        SystemdNotification.Ready();
    }

    private static void Announce(PenstockHost host, Terminal terminal, ILogger log)
    {
        SystemdNotification.Ready();
        if (terminal.Interactive)
        {
            Banner.Write(host, terminal);
        }

        log.LogInformation(Events.Started, "Penstock {Version} listens on {Listen}, admin on {Admin}",
            ProductVersion.Short, string.Join(", ", host.Proxy.Urls),
            host.AdminUrl?.ToString().TrimEnd('/') ?? "nothing");
    }
}
