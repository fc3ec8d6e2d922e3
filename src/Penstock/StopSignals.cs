using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Penstock;

/// <summary>The first TERM, INT or QUIT asks for a graceful stop, the next one for a stop at once; HUP for a
/// reload.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _atOnce = new();
    private readonly List<IDisposable> _registrations = [];
    private readonly ILogger _log;

    /// <param name="log">Told about every signal.</param>
    /// <param name="stop">Counts as a first signal when cancelled (tests have no signals of their own).</param>
    public StopSignals(ILogger log, CancellationToken stop)
    {
        _log = log;
        _registrations.Add(stop.Register(() => _asked.TrySetResult()));
        foreach (var signal in (PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
            _registrations.Add(PosixSignalRegistration.Create(signal, OnStop));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp));
    }

    /// <summary>What HUP does; called on a thread of its own.</summary>
    public Action HangUp { get; set; } = static () => { };

    public Task Asked => _asked.Task;
    public CancellationToken AtOnce => _atOnce.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _atOnce.Dispose();
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        var first = _asked.TrySetResult();
        _log.LogInformation(new EventId(0, "signal"), "{Signal}: stopping {How}",
            context.Signal, first ? "gracefully" : "at once");
        if (!first)
            _atOnce.Cancel();
    }

    // The default would end the process.
    private void OnHangUp(PosixSignalContext context)
    {
        context.Cancel = true;
        _log.LogInformation(new EventId(0, "signal"), "{Signal}: reloading the configuration", context.Signal);
        HangUp();
    }
}
