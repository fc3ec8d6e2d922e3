using System.Globalization;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>A control group (version 1) that bounds the memory or the processor time of a process. For root only.
/// </summary>
internal sealed class ControlGroup : IDisposable
{
    private readonly string _path;

    /// <param name="controller"><c>memory</c> or <c>cpu</c>.</param>
    public ControlGroup(string controller)
    {
        _path = $"/sys/fs/cgroup/{controller}/penstock-test-{Guid.NewGuid():N}";
        Directory.CreateDirectory(_path);
    }

    /// <summary>What a shell says to put itself in.</summary>
    public string Enter => $"echo $$ > {_path}/cgroup.procs;";

    /// <summary>Why there can be none; null when there can.</summary>
    public static string? Obstacle(string controller) => !OperatingSystem.IsLinux() || Environment.UserName != "root"
        ? "control groups are for root"
        : !File.Exists($"/sys/fs/cgroup/{controller}/cgroup.procs")
            ? $"no control group of version 1 at /sys/fs/cgroup/{controller}" : null;

    public void Set(string file, long value) =>
        File.WriteAllText(Path.Combine(_path, file), value.ToString(CultureInfo.InvariantCulture));

    public string Get(string file) => File.ReadAllText(Path.Combine(_path, file));

    public void Add(PenstockProcess process) => Set("cgroup.procs", process.Id);

    public void Dispose() => Directory.Delete(_path); // the processes in it have ended
}
