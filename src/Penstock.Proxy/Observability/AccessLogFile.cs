using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Penstock.Proxy.Observability;

/// <summary>The target of an access log. A file: every write goes to its present end, so another program may truncate
/// it (<c>copytruncate</c>). Or a named pipe, which may have no reader yet: neither opening it nor the start of
/// Penstock waits for one. Not thread-safe.</summary>
internal sealed partial class AccessLogFile : IAccessTarget
{
    private const int WriteOnly = 0x1;
    private const int ReadWrite = 0x2;
    private const int Create = 0x40;
    private const int Append = 0x400;
    private const int NonBlocking = 0x800;
    private const int CloseOnExec = 0x80000;
    private const int SetFlags = 4;

    /// <summary>Mode of a file that is created here; an existing file keeps its mode. Not readable for everybody,
    /// because client names are often API keys.</summary>
    private const int Mode = 0b110_100_000;
    private const int Interrupted = 4;
    private const int NoSuchDevice = 6;

    private readonly string _path;
    private SafeFileHandle? _handle;

    private AccessLogFile(string path, SafeFileHandle? handle) => (_path, _handle) = (path, handle);

    /// <summary>Opens the file or pipe; creates a file that does not exist.</summary>
    /// <exception cref="IOException">It cannot be written to; the message says why.</exception>
    public static AccessLogFile Open(string path)
    {
        SafeFileHandle? handle = TryOpen(path, out int error);
        return handle is not null || (error == NoSuchDevice && IsPipe(path)) ? new AccessLogFile(path, handle)
            : throw new IOException(Marshal.GetPInvokeErrorMessage(error));
    }

    public TimeSpan Trial => TimeSpan.Zero;

    public void Write(ReadOnlySpan<byte> lines, out int written)
    {
        written = 0;
        // A pipe that had no reader may have one now.
        _handle ??= TryOpen(_path, out _) ?? throw new IOException("no process reads this pipe");
        while (written < lines.Length)
        {
            nint count = write(_handle, lines[written..], lines.Length - written);
            int error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (count >= 0)
            {
                written += (int)count;
            }
            else if (error != Interrupted)
            {
                if (IsPipe(_path))
                {
                    _handle.Dispose(); // its reader is gone; open it again for the next one
                    _handle = null;
                }
                throw new IOException(Marshal.GetPInvokeErrorMessage(error));
            }
        }
    }

    public void Dispose() => _handle?.Dispose();

    private static SafeFileHandle? TryOpen(string path, out int error)
    {
        // Non-blocking only while opening: do not wait for a pipe's reader. Later writes may block, as writes to stdout
        // do.
        int descriptor = open(path, WriteOnly | Create | Append | NonBlocking | CloseOnExec, Mode);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (descriptor < 0)
        {
            return null;
        }
        _ = fcntl(descriptor, SetFlags, Append);
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Is the path a named pipe? Opening for reading and writing also works on a pipe without a
    /// reader.</summary>
    private static bool IsPipe(string path)
    {
        int descriptor = open(path, ReadWrite | NonBlocking | CloseOnExec, 0);
        if (descriptor < 0)
        {
            return false;
        }
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        return lseek(descriptor, 0, 0) < 0; // a pipe cannot seek
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial long lseek(int descriptor, long offset, int from);
}
