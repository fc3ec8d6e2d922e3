using System.Runtime.InteropServices;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Zeroed memory outside the garbage collector's heap. The system provides each page when it is first written,
/// so a table for millions of buckets costs only what is used of it. It is released when no object refers to this one.
/// Thread-safe.</summary>
internal sealed unsafe partial class TableMemory : SafeHandle
{
    private const nuint HugePageBytes = 2 << 20;
    private const int ReadWrite = 1 | 2;
    private const int PrivateAnonymous = 0x02 | 0x20;
    private const int MadvHugePage = 14;
    private const int MadvCollapse = 25; // since Linux 6.1; older kernels do it later, by themselves
    private readonly nuint _bytes;

    /// <exception cref="ProxyStartException">The system does not provide this much memory.</exception>
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

    /// <summary>The start of the memory, aligned to 2 MiB. Valid while this object is reachable.</summary>
    public void* Start { get; }

    /// <summary>Asks for pages of 2 MiB, if the system has them (transparent_hugepage(7)). With small pages, most
    /// random reads also cost a walk through the page tables. Takes milliseconds.</summary>
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
