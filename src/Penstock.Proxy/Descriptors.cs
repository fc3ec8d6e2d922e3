using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Penstock.Proxy;

/// <summary>Divides the process' file descriptors into shares. With none left the runtime can neither load code nor
/// start a thread, and aborts. Therefore the proxy, the admin API and the health checks each have a share, and the rest
/// is for the program itself. The limit is read each time, because an operator may change it while the process runs.
/// Thread-safe.</summary>
public static partial class Descriptors
{
    /// <summary>Descriptors that the program opens after its start: for code that is used for the first time, files of
    /// the store and of a reload, name look-ups, database connections. About 40 were measured.</summary>
    private const int OpenedLater = 96;
    private const int NumberOfFiles = 7; // RLIMIT_NOFILE

    /// <summary>The smallest share of the health checks. With few backends it is more than one each, because after a
    /// reload the old checks may not be closed yet.</summary>
    private const int MinChecks = 16;
    private const string OpenNow = "/proc/self/fd";

    private static volatile int _lent;
    private static int _checks;
    private static int _checked;

    /// <summary>The program cannot start with fewer descriptors. The runtime keeps one or two for every assembly; a
    /// native program has none of these.</summary>
    public static int Minimum => RuntimeFeature.IsDynamicCodeSupported ? 320 : 160;

    /// <summary>How many descriptors this process may have open (RLIMIT_NOFILE, the soft limit).</summary>
    public static unsafe int Limit
    {
        get
        {
            nuint* limits = stackalloc nuint[2]; // the soft one, the hard one
            return getrlimit(NumberOfFiles, limits) == 0 ? (int)Math.Min(limits[0], int.MaxValue) : int.MaxValue;
        }
    }

    /// <summary>How many descriptors are open; null when none is left to count them with.</summary>
    public static int? CountOpen()
    {
        try
        {
            return Directory.GetFileSystemEntries(OpenNow).Length;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Descriptors for connections to the admin API: a twentieth of the limit, 16 to 256.</summary>
    public static int AdminShare => AdminShareOf(Limit);

    /// <summary>Reserves descriptors for other servers in this process.</summary>
    public static void Lend(int count) => _lent = count;

    /// <summary>Descriptors for client and backend connections. <paramref name="own"/>: what the program itself
    /// needs.</summary>
    internal static int ProxyShare(int own)
    {
        int limit = Limit; // once: every new connection asks, and reading it is a system call
        return Math.Max(16, limit - own - _lent - AdminShareOf(limit) - CheckShareOf(limit));
    }

    /// <summary>How many descriptors the program itself has and may still need, without the proxy's
    /// <paramref name="ofProxy"/>.</summary>
    internal static int CountOwn(int ofProxy) =>
        CountOpen() is { } open ? OpenedLater + Math.Max(0, open - ofProxy) : Minimum;

    /// <summary>Changes the number of backends that have health checks by <paramref name="more"/>, which may be
    /// negative.</summary>
    internal static void ExpectChecks(int more) => Interlocked.Add(ref _checked, more);

    /// <summary>Reserves a descriptor for a check's socket; false when the share is used up.</summary>
    internal static bool TryReserveForCheck()
    {
        if (Interlocked.Increment(ref _checks) <= CheckShareOf(Limit))
        {
            return true;
        }
        ReturnFromCheck();
        return false;
    }

    /// <summary>Returns a descriptor of <see cref="TryReserveForCheck"/>.</summary>
    internal static void ReturnFromCheck() => Interlocked.Decrement(ref _checks);

    private static int AdminShareOf(int limit) => Math.Clamp(limit / 20, 16, 256);

    /// <summary>Descriptors for health checks. If all backends hang, each holds one. When there are more backends than
    /// this share, some checks are inconclusive.</summary>
    private static int CheckShareOf(int limit) =>
        Math.Clamp(Volatile.Read(ref _checked), MinChecks, Math.Max(MinChecks, limit / 4));

    [LibraryImport("libc")]
    private static unsafe partial int getrlimit(int resource, nuint* limits);
}
