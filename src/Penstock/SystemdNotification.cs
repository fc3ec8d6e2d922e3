using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting.Systemd;

namespace Penstock;

/// <summary>Notifies systemd of the state of a unit with <c>Type=notify</c> or <c>notify-reload</c> (sd_notify(3)): the
/// unit is "started" when the listeners are open. Uses the framework's notifier; does nothing if systemd did not start
/// the program.</summary>
internal static class SystemdNotification
{
    private static readonly SystemdNotifier Systemd = new();

    /// <summary>Call after the start and after each reload.</summary>
    public static void Ready() => Send(ServiceState.Ready);

    /// <summary>Another process of the unit is its main process from now on.</summary>
    public static void MainProcess(int process) => Send(new($"MAINPID={process}"));

    public static void Stopping() => Send(ServiceState.Stopping);

    /// <summary>With <c>notify-reload</c>, systemd waits for a READY that is later than this time of the monotonic
    /// clock.</summary>
    public static void Reloading() => Send(new(
        $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}"));

    private static void Send(ServiceState state)
    {
        try
        {
            Systemd.Notify(state);
        }
        catch (SocketException)
        {
            // Serving requests matters more than this report; systemd's start timeout shows the operator the failure.
        }
    }
}
