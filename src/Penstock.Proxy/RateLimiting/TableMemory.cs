using System.Runtime.InteropServices;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Zeroed memory outside the collector's heap, which is had page by page when it is first written: a table for
/// millions of buckets costs what is used of it. Returned when nobody holds the object any more. Thread-safe.</summary>
internal sealed unsafe partial class TableMemory : SafeHandle
{
    private const nuint HugePageBytes = 2 << 20;
    private const int ReadWrite = 1 | 2;
    private const int PrivateAnonymous = 0x02 | 0x20;
    private const int MadvHugePage = 14;
    private const int MadvCollapse = 25; // since Linux 6.1; before it, the kernel gets round to it by itself
    private readonly nuint _bytes;

    /// <exception cref="ProxyStartException">The system rejects so much.</exception>
    public TableMemory(nuint bytes)
        : base(-1, ownsHandle: true)
    {
        _bytes = bytes;
        SetHandle(mmap(0, bytes + HugePageBytes, ReadWrite, PrivateAnonymous, -1, 0));
        if (IsInvalid)
        {
            throw new ProxyStartException($"no memory for {bytes} bytes of buckets: lower clients.max_tracked",
                new InvalidOperationException($"mmap: errno {Marshal.GetLastPInvokeError()}"));
        }
        Start = (void*)(((nuint)handle + HugePageBytes - 1) & ~(HugePageBytes - 1));
    }

    public override bool IsInvalid => handle == -1;

    /// <summary>Begins a page of 2 MiB. Valid as long as this object is reachable.</summary>
    public void* Start { get; }

    /// <summary>Asks for pages of 2 MiB, where the system has them (transparent_hugepage(7)): with small ones, most
    /// reads at random cost a walk through the page tables as well. Takes milliseconds.</summary>
    public void UseHugePages()
    {
        _ = madvise((nint)Start, _bytes, MadvHugePage);
        _ = madvise((nint)Start, _bytes, MadvCollapse);
        GC.KeepAlive(this);
    }

    protected override bool ReleaseHandle() => munmap(handle, _bytes + HugePageBytes) == 0;

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(nint address, nuint length, int advice);
}
