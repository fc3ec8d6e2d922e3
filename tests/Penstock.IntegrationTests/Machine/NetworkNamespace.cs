using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Penstock.IntegrationTests.Machine;

/// <summary>A network namespace, connected to the machine's network by a cable that can be pulled: <c>ip netns</c> and
/// a pair of veth. Needs root.</summary>
internal sealed partial class NetworkNamespace : IDisposable
{
    private const int CloneNewNet = 0x40000000;

    private readonly string _device;

    public NetworkNamespace()
    {
        // 15 characters are the most that a device may have; the addresses are of a block that is rarely used.
        int number = Random.Shared.Next(1, 255);
        Name = $"pst{Environment.ProcessId}-{number}";
        _device = $"p{Environment.ProcessId}-{number}";
        var near = IPAddress.Parse($"10.213.{number}.1");
        Address = IPAddress.Parse($"10.213.{number}.2");
        Ip($"netns add {Name}");
        Ip($"link add {_device} type veth peer name eth0 netns {Name}");
        Ip($"addr add {near}/30 dev {_device}");
        Ip($"link set {_device} up");
        Ip($"-n {Name} addr add {Address}/30 dev eth0");
        Ip($"-n {Name} link set lo up");
        Plug();
    }

    /// <summary>Why no namespace can be created; null if one can.</summary>
    public static string? Obstacle => !OperatingSystem.IsLinux() || Environment.UserName != "root"
        ? "network namespaces are for root" : null;

    public string Name { get; }

    /// <summary>Its address, seen from outside.</summary>
    public IPAddress Address { get; }

    /// <summary>Pulls the cable at the far end: packets are lost without an error.</summary>
    public void Unplug() => Ip($"-n {Name} link set eth0 down");

    public void Plug() => Ip($"-n {Name} link set eth0 up");

    /// <summary>Runs code on a thread inside the namespace. A socket that it opens stays inside, even if another thread
    /// uses it later.</summary>
    public T Run<T>(Func<T> inside)
    {
        T? result = default;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                using SafeFileHandle space = File.OpenHandle($"/run/netns/{Name}");
                if (SetNamespace(space, CloneNewNet) != 0)
                {
                    throw new InvalidOperationException($"setns: error {Marshal.GetLastPInvokeError()}");
                }
                result = inside();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result! : throw new InvalidOperationException("failed inside the namespace", failure);
    }

    public void Dispose()
    {
        Ip($"link del {_device}"); // with its other end
        Ip($"netns del {Name}");
    }

    private static void Ip(string arguments)
    {
        using Process ip = Process.Start(new ProcessStartInfo("ip", arguments)
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        })!;
        string error = ip.StandardError.ReadToEnd();
        ip.WaitForExit();
        if (ip.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {arguments}: {error}");
        }
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeFileHandle space, int type);
}
