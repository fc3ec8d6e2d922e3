using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Penstock.Control.Store;

/// <summary>The file of a store. Only one Penstock process uses it, and other users cannot read it, because client ids
/// are usually API keys. The kernel locks a second file (<c>.lock</c>, which names the process) and releases the lock
/// when the process ends, however it ends. SQLite's locks are separate: <c>sqlite3</c> may read the file and make
/// backups while Penstock runs.</summary>
internal sealed partial class SqliteFile : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others =
        UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private const int SetOwnLock = 37; // F_OFD_SETLK: the lock belongs to this open file; closing another keeps it
    private const short WriteLock = 1;
    private const int TryAgain = 11;
    private const int NoAccess = 13;

    private readonly FileStream _lock;

    private SqliteFile(FileStream @lock) => _lock = @lock;

    /// <summary>Locks the file of a database; null if the database is not a file.</summary>
    /// <exception cref="StartException">Another process uses it, or it cannot be locked.</exception>
    /// <param name="inherited">The lock of a process that this one takes over from; it may be that of another
    /// file.</param>
    public static SqliteFile? Claim(string path, SafeFileHandle? inherited = null)
    {
        if (IsSpecial(path))
        {
            return null;
        }

        try
        {
            // Several links may lead to one file.
            FileSystemInfo? target = File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true) : null;
            string real = Path.GetFullPath(target?.FullName ?? path);
            if (Directory.Exists(real))
            {
                return null; // opening it fails with SQLite's message
            }

            if (inherited is not null && PathOf(inherited) == real + ".lock")
            {
                return Share(inherited);
            }
            var @lock = new FileStream(real + ".lock", new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.ReadWrite | FileShare.Delete,
                UnixCreateMode = OwnerOnly,
                BufferSize = 0,
            });
            try
            {
                TakeLock(@lock, path);
                KeepFromOthers(real);
                return new(@lock);
            }
            catch
            {
                @lock.Dispose();
                throw;
            }
        }
        catch (DirectoryNotFoundException)
        {
            return null; // opening it fails with a message that names the directory
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"store {path}: cannot be opened or created: Penstock must be able to write the "
                + $"file and its directory ({e.Message.TrimEnd('.')})", e);
        }
    }

    /// <summary>The lock, for a process that takes over from this one.</summary>
    public SafeFileHandle Lock => _lock.SafeFileHandle;

    public void Dispose() => _lock.Dispose();

    /// <summary>SQLite does not take it for the path of a file, but for a database in memory or a URI.</summary>
    public static bool IsSpecial(string path) =>
        path.Length == 0 || path[0] == ':' || path.StartsWith("file:", StringComparison.OrdinalIgnoreCase);

    private static void TakeLock(FileStream file, string path)
    {
        var whole = new FileLock { Type = WriteLock };
        if (fcntl(file.SafeFileHandle, SetOwnLock, ref whole) == 0)
        {
            WriteHolder(file);
            return;
        }
        int error = Marshal.GetLastPInvokeError();
        if (error is not (TryAgain or NoAccess))
        {
            throw new StartException($"store {path}: its file system cannot lock files "
                + $"({Marshal.GetPInvokeErrorMessage(error)}): put it on a local disk");
        }
        using var reader = new StreamReader(file, leaveOpen: true);
        string holder = reader.ReadLine() is { Length: > 0 } text ? $"process {text}" : "another process";
        throw new StartException($"store {path}: {holder} uses it: stop that process, take over from it with "
            + "'penstock run FILE --takeover' and the file that it runs with, or give each its own store; several "
            + "nodes can share one in PostgreSQL");
    }

    /// <summary>The lock belongs to the open file, which two processes have now. It ends when both have closed
    /// it.</summary>
    private static SqliteFile Share(SafeFileHandle inherited)
    {
        var file = new FileStream(inherited, FileAccess.ReadWrite, bufferSize: 0);
        WriteHolder(file);
        return new(file);
    }

    private static string? PathOf(SafeFileHandle file) =>
        File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)?.FullName;

    private static void WriteHolder(FileStream file)
    {
        file.SetLength(0);
        file.Write(System.Text.Encoding.UTF8.GetBytes($"{Environment.ProcessId} on {Environment.MachineName}\n"));
        file.Flush();
    }

    /// <summary>Creates a new database file that only its owner may access; SQLite gives the same mode to its other
    /// files. Old versions of Penstock created files that everybody could read; these are restricted now. Access for
    /// a group stays, because the operator has set it.</summary>
    private static void KeepFromOthers(string path)
    {
        if (!File.Exists(path))
        {
            new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly,
            }).Dispose();
        }
        foreach (string file in (string[])[path, path + "-wal", path + "-shm"])
        {
            if (File.Exists(file) && (File.GetUnixFileMode(file) & Others) != UnixFileMode.None)
            {
                TryRestrict(file);
            }
        }
    }

    private static void TryRestrict(string file)
    {
        try
        {
            File.SetUnixFileMode(file, OwnerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file belongs to another user, who decides about its mode.
        }
    }

    /// <summary>The kernel's struct flock on 64-bit systems; start and length 0 mean the whole file.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int ProcessId;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle file, int command, ref FileLock @lock);
}
