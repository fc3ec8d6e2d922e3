using System.Diagnostics;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>A small file system of its own in a temporary folder, which can get full or read-only. For root only.
/// </summary>
internal sealed class MountedFolder : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-mount-").FullName;
    private readonly string _image;

    private MountedFolder(string what)
    {
        _image = Path + ".image";
        Directory.CreateDirectory(Path);
        Run($"{what.Replace("IMAGE", _image, StringComparison.Ordinal)} {Path}");
    }

    /// <summary>Why there can be none; null when there can.</summary>
    public static string? Obstacle => !OperatingSystem.IsLinux() || Environment.UserName != "root"
        ? "mounting is for root" : null;

    /// <summary>Why there can be none <see cref="OnDisk"/>; null when there can.</summary>
    public static string? DiskObstacle => Obstacle ?? (File.Exists("/dev/loop-control") ? null : "no loop devices");

    public string Path => System.IO.Path.Combine(_folder, "mounted");

    private string Filler => System.IO.Path.Combine(Path, "filler");

    /// <summary>In memory, of that size: 1m.</summary>
    public static MountedFolder InMemory(string size) => new($"mount -t tmpfs -o size={size} tmpfs");

    /// <summary>An ext4 in a file, as on a disk.</summary>
    public static MountedFolder OnDisk() =>
        new("truncate -s 16m IMAGE && mkfs.ext4 -q IMAGE && mount -o loop IMAGE");

    /// <summary>Leaves not an byte free.</summary>
    public void Fill()
    {
        using var file = new FileStream(Filler, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] piece = new byte[4096];
        try
        {
            while (true)
            {
                file.Write(piece);
            }
        }
        catch (IOException)
        {
            // full
        }
    }

    public void MakeRoom() => File.Delete(Filler);

    /// <summary>As an operator does; only while nobody writes to it.</summary>
    public void RemountReadOnly() => Run($"mount -o remount,ro {Path}");

    /// <summary>As the kernel does to an ext4 that it finds damaged, whoever has files open. There is no way back.
    /// </summary>
    public void Abort() => Run($"mount -o remount,abort {Path}");

    public void Dispose()
    {
        Run($"umount -l {Path}");
        Directory.Delete(_folder, recursive: true);
    }

    private static void Run(string command)
    {
        using Process shell = Process.Start(new ProcessStartInfo("bash", ["-c", command])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        })!;
        string error = shell.StandardError.ReadToEnd();
        shell.WaitForExit();
        if (shell.ExitCode != 0)
        {
            throw new InvalidOperationException($"{command}: {error}");
        }
    }
}
