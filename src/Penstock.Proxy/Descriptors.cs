using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Penstock.Proxy;

/// <summary>The process' file descriptors, and who may hold how many. With none left the runtime can neither load code
/// nor start a thread, and aborts. So whoever opens sockets because others ask for it has a share, and what all shares
/// leave is for the program itself. The limit is looked at each time: an operator may change it while the process
/// runs.</summary>
public static partial class Descriptors
{
    /// <summary>For what the program opens after its start: code that is used for the first time, the files of the
    /// store and of a reload, look-ups of names, connections to a database. About 40 were seen.</summary>
    private const int OpenedLater = 96;
    private const int NumberOfFiles = 7; // RLIMIT_NOFILE

    /// <summary>Some more than there are backends, as long as those are few: after a reload the checks of before may
    /// not be closed yet.</summary>
    private const int MinChecks = 16;
    private const string OpenNow = "/proc/self/fd";

    private static volatile int _lent;
    private static int _checks;
    private static int _checked;

    /// <summary>Below that the program cannot even start: the runtime keeps a descriptor or two for every assembly,
    /// which a native program does not have.</summary>
    public static int Minimum => RuntimeFeature.IsDynamicCodeSupported ? 320 : 160;

    /// <summary>How many this process may have open.</summary>
    public static unsafe int Limit
    {
        get
        {
            nuint* limits = stackalloc nuint[2]; // the soft one, the hard one
            return getrlimit(NumberOfFiles, limits) == 0 ? (int)Math.Min(limits[0], int.MaxValue) : int.MaxValue;
        }
    }

    /// <summary>For connections to the admin API.</summary>
    public static int AdminShare => Math.Clamp(Limit / 20, 16, 256);

    /// <summary>For checks that are under way. All backends may hang at once, and each holds one then; with more of
    /// them than this process has descriptors for, some checks are put off.</summary>
    private static int CheckShare =>
        Math.Clamp(Volatile.Read(ref _checked), MinChecks, Math.Max(MinChecks, Limit / 4));

    /// <summary>Sets some aside for servers of this process other than the proxy.</summary>
    public static void Lend(int count) => _lent = count;

    /// <summary>For the proxy's connections, clients' and backends', when the program itself has so many.</summary>
    internal static int ProxyShare(int own) => Math.Max(16, Limit - own - _lent - AdminShare - CheckShare);

    /// <summary>How many the program itself has and may still need. Those of the proxy are not among them.</summary>
    internal static int CountOwn(int ofProxy)
    {
        try
        {
            return OpenedLater + Math.Max(0, Directory.GetFileSystemEntries(OpenNow).Length - ofProxy);
        }
        catch (IOException)
        {
            return Minimum; // there is none left even to look
        }
    }

    /// <summary>So many more backends are checked from now on, or fewer.</summary>
    internal static void ExpectChecks(int more) => Interlocked.Add(ref _checked, more);

    /// <summary>Counts the socket of a check in, if there is one for it.</summary>
    internal static bool TryReserveForCheck()
    {
        if (Interlocked.Increment(ref _checks) <= CheckShare)
        {
            return true;
        }
        ReturnFromCheck();
        return false;
    }

    /// <summary>Counts out what <see cref="TryReserveForCheck"/> counted in.</summary>
    internal static void ReturnFromCheck() => Interlocked.Decrement(ref _checks);

    [LibraryImport("libc")]
    private static unsafe partial int getrlimit(int resource, nuint* limits);
}
