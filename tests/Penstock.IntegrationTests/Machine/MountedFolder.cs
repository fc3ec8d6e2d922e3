using System.Diagnostics;

namespace Penstock.IntegrationTests.Machine;

/// <summary>A small file system in a temporary folder, which can get full or read-only. Needs root.</summary>
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

    /// <summary>Why no file system can be mounted; null if one can.</summary>
    public static string? Obstacle => !OperatingSystem.IsLinux() || Environment.UserName != "root"
        ? "mounting is for root" : null;

    /// <summary>Why <see cref="OnDisk"/> is not possible; null if it is.</summary>
    public static string? DiskObstacle => Obstacle ?? (File.Exists("/dev/loop-control") ? null : "no loop devices");

    public string Path => System.IO.Path.Combine(_folder, "mounted");

    private string Filler => System.IO.Path.Combine(Path, "filler");

    /// <summary>Mounts a file system in memory, with a size such as 1m.</summary>
    public static MountedFolder InMemory(string size) => new($"mount -t tmpfs -o size={size} tmpfs");

    /// <summary>Mounts an ext4 file system in a file, as on a disk.</summary>
    public static MountedFolder OnDisk() =>
        new("truncate -s 16m IMAGE && mkfs.ext4 -q IMAGE && mount -o loop IMAGE");

    /// <summary>Fills the file system to the last byte.</summary>
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

    /// <summary>Makes it read-only, like an operator; fails while a process writes to it.</summary>
    public void RemountReadOnly() => Run($"mount -o remount,ro {Path}");

    /// <summary>Makes it read-only, like the kernel when it finds an ext4 damaged, even if files are open. This cannot
    /// be undone.</summary>
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
