using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Penstock.Proxy.EventLoop;

/// <summary>What a descriptor is ready for. The values are those of Linux' EPOLL* flags.</summary>
[Flags]
internal enum EpollEvents : uint
{
    None = 0,
    Read = 0x001,
    Write = 0x004,
    Error = 0x008,

    /// <summary>Both directions are closed.</summary>
    HangUp = 0x010,

    /// <summary>The peer has ended its stream.</summary>
    PeerClosed = 0x2000,
    EdgeTriggered = 0x8000_0000,
}

/// <summary>One epoll instance, with an eventfd by which other threads wake it. Only <see cref="Wake"/> is
/// thread-safe.</summary>
internal sealed unsafe partial class Epoll : IDisposable
{
    private const int MaxEvents = 512;
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int Add = 1;
    private const int Delete = 2;
    private const int Modify = 3;
    private const int Interrupted = 4;

    // struct epoll_event is packed on x86-64 only: 12 bytes there, 16 elsewhere.
    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int EventSize = DataOffset + 8;

    private readonly byte[] _events = GC.AllocateArray<byte>(MaxEvents * 16, pinned: true);

    // Handles own the descriptors: a call after Dispose fails instead of reaching another file that got the same
    // number.
    private readonly OwnedDescriptor _epoll;
    private readonly OwnedDescriptor _wake;

    public Epoll()
    {
        _epoll = new OwnedDescriptor(Check(epoll_create1(CloseOnExec)));
        int wake = Check(eventfd(0, CloseOnExec | NonBlocking));
        _wake = new OwnedDescriptor(wake);
        Register(wake, 0, EpollEvents.Read | EpollEvents.EdgeTriggered);
    }

    /// <summary>Watches a descriptor until it is closed.</summary>
    /// <param name="tag">Returned with each event; not 0, which marks a wake-up.</param>
    public void Register(int descriptor, ulong tag, EpollEvents interest) => Control(Add, descriptor, tag, interest);

    /// <summary>Watches a descriptor for other events. What it is ready for is reported again.</summary>
    public void Change(int descriptor, ulong tag, EpollEvents interest) => Control(Modify, descriptor, tag, interest);

    /// <summary>Stops to watch a descriptor that stays open.</summary>
    public void Forget(int descriptor) => Control(Delete, descriptor, 0, default);

    private void Control(int operation, int descriptor, ulong tag, EpollEvents interest)
    {
        byte* entry = stackalloc byte[16];
        Unsafe.WriteUnaligned(entry, (uint)interest);
        Unsafe.WriteUnaligned(entry + DataOffset, tag);
        Check(epoll_ctl(_epoll, operation, descriptor, entry));
    }

    /// <summary>Waits until something is ready, at most <paramref name="timeoutMs"/>; -1 waits without a
    /// limit.</summary>
    /// <returns>The number of events to read with <see cref="Event"/>.</returns>
    public int Wait(int timeoutMs)
    {
        fixed (byte* events = _events)
        {
            int count = epoll_wait(_epoll, events, MaxEvents, timeoutMs);
            if (count >= 0)
            {
                return count;
            }
            int error = Marshal.GetLastPInvokeError();
            return error == Interrupted ? 0 : throw new InvalidOperationException($"epoll_wait failed: errno {error}");
        }
    }

    /// <summary>Event <paramref name="index"/> of the last wait; tag 0 is a wake-up.</summary>
    public ulong Event(int index, out EpollEvents ready)
    {
        ref byte entry = ref _events[index * EventSize];
        ready = (EpollEvents)Unsafe.ReadUnaligned<uint>(ref entry);
        return Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref entry, DataOffset));
    }

    public void Wake()
    {
        ulong one = 1;
        _ = write(_wake, &one, sizeof(ulong));
    }

    public void DrainWake()
    {
        ulong count;
        _ = read(_wake, &count, sizeof(ulong));
    }

    public void Dispose()
    {
        _wake.Dispose();
        _epoll.Dispose();
    }

    private static int Check(int result) => result >= 0 ? result
        : throw new InvalidOperationException($"epoll call failed: errno {Marshal.GetLastPInvokeError()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(SafeHandle epoll, int operation, int descriptor, byte* entry);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(SafeHandle epoll, byte* events, int capacity, int timeoutMs);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeHandle descriptor, void* data, nint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeHandle descriptor, void* data, nint length);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);

    /// <summary>A descriptor that is closed once, and not during a call that uses it.</summary>
    private sealed class OwnedDescriptor : SafeHandle
    {
        public OwnedDescriptor(int descriptor)
            : base(-1, ownsHandle: true) => SetHandle(descriptor);

        public override bool IsInvalid => handle < 0;

        protected override bool ReleaseHandle() => close((int)handle) == 0;
    }
}
