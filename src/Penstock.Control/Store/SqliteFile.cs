using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Penstock.Control.Store;

/// <summary>The file of a store: one process has it, and nobody else reads it, since clients' ids are API keys as a
/// rule. The lock is the kernel's, on a file beside (<c>.lock</c>, which says who has it): it ends with the process,
/// however that ends. SQLite's own locks are another matter: <c>sqlite3</c> may look and make backups meanwhile.
/// </summary>
internal sealed partial class SqliteFile : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others =
        UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private const int SetOwnLock = 37; // F_OFD_SETLK: belongs to the open file, not to whatever thread closes another
    private const short WriteLock = 1;
    private const int TryAgain = 11;
    private const int NoAccess = 13;

    private readonly FileStream _lock;

    private SqliteFile(FileStream @lock) => _lock = @lock;

    /// <summary>Null for a database that is no file.</summary>
    /// <exception cref="StartException">Another process has it, or it cannot be locked.</exception>
    public static SqliteFile? Claim(string path)
    {
        if (path.Length == 0 || path[0] == ':' || path.StartsWith("file:", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        try
        {
            // one file may have several names
            FileSystemInfo? target = File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true) : null;
            string real = target?.FullName ?? path;
            if (Directory.Exists(real))
            {
                return null; // SQLite says what is wrong with it
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
                Lock(@lock, path);
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
            return null; // SQLite's message names the folder
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"store {path}: cannot be opened or created: Penstock must be able to write the "
                + $"file and its directory ({e.Message.TrimEnd('.')})", e);
        }
    }

    public void Dispose() => _lock.Dispose();

    private static void Lock(FileStream file, string path)
    {
        var whole = new FileLock { Type = WriteLock };
        if (fcntl(file.SafeFileHandle, SetOwnLock, ref whole) == 0)
        {
            file.SetLength(0);
            file.Write(System.Text.Encoding.UTF8.GetBytes(
                $"{Environment.ProcessId} on {Environment.MachineName}\n"));
            file.Flush();
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
        throw new StartException($"store {path}: {holder} has it: stop that one, or give each its own file; "
            + "several nodes share PostgreSQL");
    }

    /// <summary>A new database is made with the mode that it shall have, which SQLite gives to the files beside it,
    /// too. One that everybody may read is of a Penstock that did not look; a mode for a group is the
    /// operator's.</summary>
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
            // somebody else's file that this user may write, too: its owner's affair
        }
    }

    /// <summary>The kernel's struct flock on 64-bit systems; zeros mean the whole file.</summary>
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
