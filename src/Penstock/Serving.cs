using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock;

/// <summary>Runs a balancer until a signal stops it; used by <c>demo</c>, <c>proxy</c> and <c>run</c>.</summary>
internal static class Serving
{
    /// <param name="read">Reads the configuration file again; null when there is none.</param>
    public static async Task<int> RunAsync(PenstockConfig config, IReadOnlyList<Diagnostic> warnings,
        Terminal terminal, CancellationToken stop, Func<ConfigResult>? read = null)
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
            host = await PenstockHost.StartAsync(OnTerminal(config, terminal)!, loggers, TimeProvider.System,
                read is null ? null : ReadAgain, threshold);
        }
        catch (StartException failure)
        {
            return terminal.Fail(failure.Message);
        }
        await using (host)
        {
            signals.HangUp = () => Reload(host, log);
            signals.Reopen = host.Proxy.ReopenAccessLog;
            Announce(host, terminal, log);
            await using (new ConfigWatcher(host.Reloader, () => Reload(host, log), TimeProvider.System, log))
            {
                await signals.Asked;
            }
            SystemdNotification.Stopping();
            long started = Stopwatch.GetTimestamp();
            if (terminal.Interactive)
            {
                terminal.Out.WriteLine("\nstopping; Ctrl+C again stops at once");
            }

            await host.StopAsync(signals.Immediate);
            log.LogInformation(Events.Stopped, "stopped in {DurationMs} ms",
                (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        return ExitCode.Ok;

        ConfigResult ReadAgain()
        {
            ConfigResult result = read();
            return result with { Config = OnTerminal(result.Config, terminal) };
        }
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
