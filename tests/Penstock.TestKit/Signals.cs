using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Penstock.TestKit;

/// <summary>Sends signals without the command <c>kill</c>, which a bare Debian does not have.</summary>
public static partial class Signals
{
    /// <summary>By their numbers on Linux, from 1.</summary>
    private static readonly string[] Names =
    [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];

    /// <param name="process">Its id.</param>
    /// <param name="name">Without SIG: TERM, STOP, …; or a number, as of a real-time signal.</param>
    /// <exception cref="Win32Exception">There is no such process.</exception>
    public static void Send(int process, string name)
    {
        int number = int.TryParse(name, CultureInfo.InvariantCulture, out int given)
            ? given : 1 + Names.IndexOf(name);
        if (number < 1 || Kill(process, number) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
