using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting.Systemd;

namespace Penstock;

/// <summary>What systemd wants to hear of a unit with <c>Type=notify</c> or <c>notify-reload</c> (sd_notify(3)): it is
/// "started" when the listeners are really open. By the framework's own notifier; nothing where systemd did not start
/// the program.</summary>
internal static class SystemdNotification
{
    private static readonly SystemdNotifier Systemd = new();

    /// <summary>Also after a reload.</summary>
    public static void Ready() => Send(ServiceState.Ready);

    public static void Stopping() => Send(ServiceState.Stopping);

    /// <summary><c>notify-reload</c> waits for the READY that comes after this time of the monotonic clock.</summary>
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
            // serving matters more than reporting that we serve; systemd's start timeout tells the operator
        }
    }
}
