using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;

namespace Penstock.Control;

/// <summary>Reloads the configuration when one of its files has changed. It compares the contents every second, because
/// notifications of the kernel miss some ways to replace a file: a rename, a symbolic link that Kubernetes points to
/// another directory, a network file system. A change counts when two comparisons in a row find the same, so that a
/// file that is being written is not read.</summary>
internal sealed class ConfigWatcher : IAsyncDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly Reloader _reloader;
    private readonly Action _reload;
    private readonly ILogger _log;
    private readonly PeriodicTimer _timer;
    private readonly Task _watching;
    private IReadOnlyList<FileVersion> _seen = [];

    /// <param name="reload">Reloads by <paramref name="reloader"/>.</param>
    public ConfigWatcher(Reloader reloader, Action reload, TimeProvider time, ILogger log)
    {
        (_reloader, _reload, _log) = (reloader, reload, log);
        _timer = new(Period, time);
        _watching = WatchAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _watching;
    }

    /// <summary>Compares once.</summary>
    internal void Compare()
    {
        if (!_reloader.Current.Watch)
        {
            return;
        }
        IReadOnlyList<FileVersion> read = _reloader.Files;
        List<FileVersion> now = [.. read.Select(static file => FileReader.VersionNow(file))];
        bool isStable = now.SequenceEqual(_seen);
        _seen = now;
        if (isStable && !now.SequenceEqual(read))
        {
            _log.LogInformation(Events.ConfigFileChanged, "{Files} changed: reloading the configuration",
                string.Join(", ", now.Except(read).Select(static file => file.Path)));
            _reload();
        }
    }

    private async Task WatchAsync()
    {
        while (await _timer.WaitForNextTickAsync())
        {
            try
            {
                Compare();
            }
            catch (Exception bug)
            {
                _log.LogError(Events.ReloadFailed, bug, "watching the configuration failed: bug in Penstock");
            }
        }
    }
}
