using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Penstock;

/// <summary>The first TERM, INT or QUIT starts a graceful stop, the next one stops at once; HUP reloads; USR1 reopens
/// the file of the access log; USR2 starts the program again to take over. Other signals that would end the process by
/// default are logged and ignored: operators send signals that another proxy understands, and none of them asks to stop
/// at once and lose requests.</summary>
internal sealed class StopSignals : IDisposable
{
    private const int Usr1 = 10;
    private const int Usr2 = 12;

    // The numbers of Linux, because .NET has no names for these signals. Real-time signals are free for any use, for
    // instance a container's STOPSIGNAL=SIGRTMIN+3; the C library and the runtime use the first ones.
    private const int FirstFreeRealTime = 35;
    private const int LastRealTime = 64;
    private static readonly Dictionary<int, string> Ignored = new()
    {
        [14] = "SIGALRM", [16] = "SIGSTKFLT", [24] = "SIGXCPU", [25] = "SIGXFSZ",
        [26] = "SIGVTALRM", [27] = "SIGPROF", [29] = "SIGIO", [30] = "SIGPWR",
    };

    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _atOnce = new();
    private readonly List<IDisposable> _registrations = [];
    private readonly ILogger _log;

    /// <param name="log">Every signal is logged here.</param>
    /// <param name="stop">Its cancellation counts as a first signal (for tests, which send no signals).</param>
    public StopSignals(ILogger log, CancellationToken stop)
    {
        _log = log;
        _registrations.Add(stop.Register(() => _asked.TrySetResult()));
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, OnStop));
        }

        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp));
        _registrations.Add(PosixSignalRegistration.Create((PosixSignal)Usr1, OnReopen));
        _registrations.Add(PosixSignalRegistration.Create((PosixSignal)Usr2, OnUpgrade));
        foreach (int signal in Ignored.Keys.Concat(
            Enumerable.Range(FirstFreeRealTime, LastRealTime - FirstFreeRealTime + 1)))
        {
            _registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, OnOther));
        }
    }

    /// <summary>What HUP does; called on a separate thread.</summary>
    public Action HangUp { get; set; } = static () => { };

    /// <summary>What USR1 does; called on a separate thread.</summary>
    public Action Reopen { get; set; } = static () => { };

    /// <summary>What USR2 does; called on a separate thread. Null: it cannot be done.</summary>
    public Action? Upgrade { get; set; }

    public Task Asked => _asked.Task;
    public CancellationToken Immediate => _atOnce.Token;

    public void Dispose()
    {
        foreach (IDisposable registration in _registrations)
        {
            registration.Dispose();
        }

        _atOnce.Dispose();
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        bool first = _asked.TrySetResult();
        _log.LogInformation(Events.Signal, "{Signal}: stopping {How}",
            context.Signal, first ? "gracefully" : "at once");
        if (!first)
        {
            _atOnce.Cancel();
        }
    }

    // The default would end the process.
    private void OnHangUp(PosixSignalContext context)
    {
        context.Cancel = true;
        _log.LogInformation(Events.Signal, "{Signal}: reloading the configuration", context.Signal);
        HangUp();
    }

    private void OnReopen(PosixSignalContext context)
    {
        context.Cancel = true;
        _log.LogInformation(Events.Signal, "SIGUSR1: reopening the access log");
        Reopen();
    }

    private void OnUpgrade(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Upgrade is null)
        {
            _log.LogWarning(Events.Signal, "SIGUSR2: ignored; no other process can take over from this one: it was not "
                + "started by 'penstock run', has not started yet, or was taken over already");
            return;
        }
        _log.LogInformation(Events.Signal, "SIGUSR2: starting the program again, to take over from this process");
        Upgrade();
    }

    private void OnOther(PosixSignalContext context)
    {
        context.Cancel = true;
        int number = (int)context.Signal;
        _log.LogWarning(Events.Signal, "{Signal}: ignored; TERM stops gracefully, HUP reloads, USR1 reopens the "
            + "access log, USR2 upgrades", Ignored.GetValueOrDefault(number, $"signal {number}"));
    }
}
