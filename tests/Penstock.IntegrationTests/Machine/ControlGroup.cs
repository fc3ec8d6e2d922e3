using System.Globalization;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>A control group, of version 1 or 2, that limits the memory or the processor time of a process. Needs root.
/// </summary>
internal sealed class ControlGroup : IDisposable
{
    private const string Root = "/sys/fs/cgroup";
    private readonly string _path;

    /// <param name="controller"><c>memory</c> or <c>cpu</c>.</param>
    public ControlGroup(string controller)
    {
        string parent = IsVersion2 ? Root : $"{Root}/{controller}";
        _path = $"{parent}/penstock-test-{Guid.NewGuid():N}";
        Directory.CreateDirectory(_path);
    }

    /// <summary>The command with which a shell enters the group.</summary>
    public string Enter => $"echo $$ > {_path}/cgroup.procs;";

    /// <summary>Processes that the kernel has ended because the group used more memory than it may.</summary>
    public int MemoryKills => int.Parse(
        File.ReadAllLines(Path.Combine(_path, IsVersion2 ? "memory.events" : "memory.oom_control"))
            .Single(static l => l.StartsWith("oom_kill ", StringComparison.Ordinal))["oom_kill ".Length..],
        CultureInfo.InvariantCulture);

    /// <summary>How often, and for how long, the group had to wait for its next share of processor time.</summary>
    public string Throttling => File.ReadAllText(Path.Combine(_path, "cpu.stat")).ReplaceLineEndings(" ");

    private static bool IsVersion2 => File.Exists($"{Root}/cgroup.controllers");

    /// <summary>Why no group can be created; null if one can.</summary>
    public static string? Obstacle(string controller)
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root")
        {
            return "control groups are for root";
        }
        bool isThere = IsVersion2
            ? File.ReadAllText($"{Root}/cgroup.subtree_control").Split().Contains(controller)
            : File.Exists($"{Root}/{controller}/cgroup.procs");
        return isThere ? null : $"no control groups for {controller} at {Root}";
    }

    public void BoundMemory(long bytes) => Set(IsVersion2 ? "memory.max" : "memory.limit_in_bytes", Text(bytes));

    /// <param name="percent">The share of one processor.</param>
    public void BoundProcessor(int percent)
    {
        string quotaUs = Text(percent * 1000); // of each period of 100,000 µs, the kernel's default
        Set(IsVersion2 ? "cpu.max" : "cpu.cfs_quota_us", IsVersion2 ? quotaUs + " 100000" : quotaUs);
    }

    public void Add(PenstockProcess process) => Set("cgroup.procs", Text(process.Id));

    public void Dispose() => Directory.Delete(_path); // the processes in it have ended

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private void Set(string file, string value) => File.WriteAllText(Path.Combine(_path, file), value);
}
