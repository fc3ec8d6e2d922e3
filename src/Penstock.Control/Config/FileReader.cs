using System.Security.Cryptography;
using System.Text;

namespace Penstock.Control.Config;

/// <summary>What a file or directory contained when it was read; equal contents have equal versions.</summary>
/// <param name="Content">A hash of the contents or, of a directory, of its names; the fault if it could not be read.
/// </param>
/// <param name="MaxBytes">How long the file may be; 0: it was read as a directory.</param>
internal readonly record struct FileVersion(string Path, string Content, int MaxBytes)
{
    public static FileVersion Of(string path, ReadOnlySpan<byte> content, int maxBytes) =>
        new(path, Convert.ToHexString(SHA256.HashData(content)), maxBytes);
}

/// <summary>Reads the files that a configuration is made of. Their versions show later whether one has changed.
/// </summary>
internal static class FileReader
{
    private const int MaxFileBytes = 4 * 1024 * 1024;

    private static readonly string[] Ends = [".yaml", ".yml", ".json"];

    /// <summary>What to look at when a file cannot be read.</summary>
    public static string Hint(string path) => path.StartsWith('/')
        ? "write the path of a file that Penstock's user may read"
        : "a path that does not begin with / is relative to the configuration's folder";

    /// <summary>The full path of a file that the configuration names.</summary>
    public static string Beside(string configuration, string path) => path.Contains('\0', StringComparison.Ordinal)
        ? path : Path.GetFullPath(path, Path.GetDirectoryName(Path.GetFullPath(configuration))!);

    /// <summary>Reads a file and notes its version in the report.</summary>
    /// <param name="fault">Why the file cannot be used, if the result is null.</param>
    public static byte[]? Read(string path, Report report, out string fault, int maxBytes = MaxFileBytes)
    {
        byte[]? bytes = Read(path, maxBytes, out fault);
        report.Uses(VersionOf(path, bytes, fault, maxBytes));
        return bytes;
    }

    /// <summary>The configuration files of a directory in the order of their names; null if it cannot be read. Hidden
    /// files do not count: Kubernetes keeps versions of a mounted volume in them, and editors their copies.</summary>
    public static string[]? List(string directory, out string fault)
    {
        fault = "";
        try
        {
            return [.. Directory.EnumerateFiles(directory)
                .Where(static name => !Path.GetFileName(name).StartsWith('.')
                    && Ends.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase))
                .Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            fault = e.Message;
            return null;
        }
    }

    /// <summary>The version that a file or directory has now, read as it was read then.</summary>
    public static FileVersion VersionNow(FileVersion then)
    {
        if (then.MaxBytes == 0)
        {
            return VersionOf(then.Path, List(then.Path, out string unreadable), unreadable);
        }
        byte[]? bytes = Read(then.Path, then.MaxBytes, out string fault);
        return VersionOf(then.Path, bytes, fault, then.MaxBytes);
    }

    /// <param name="names">See <see cref="List"/>.</param>
    public static FileVersion VersionOf(string directory, string[]? names, string fault) => names is null
        ? new(directory, fault, 0) : FileVersion.Of(directory, Encoding.UTF8.GetBytes(string.Join('\0', names)), 0);

    private static FileVersion VersionOf(string path, byte[]? bytes, string fault, int maxBytes) =>
        bytes is null ? new(path, fault, maxBytes) : FileVersion.Of(path, bytes, maxBytes);

    private static byte[]? Read(string path, int maxBytes, out string fault)
    {
        fault = "";
        try
        {
            using FileStream stream = File.OpenRead(path);
            using var all = new MemoryStream();
            byte[] part = new byte[16 * 1024]; // in parts, because a device has no length
            while (all.Length <= maxBytes && stream.Read(part) is > 0 and int length)
            {
                all.Write(part, 0, length);
            }
            if (all.Length <= maxBytes)
            {
                return all.ToArray();
            }
            fault = $"it has more than {maxBytes} bytes";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            fault = "there is no such file";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException
            or NotSupportedException)
        {
            fault = Directory.Exists(path) ? "it is a directory" : e.Message;
        }
        return null;
    }
}
