using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Penstock.Control.Takeover;

/// <summary>Taking over failed. The message is for the operator.</summary>
internal sealed class TakeoverException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A message between two processes.</summary>
/// <param name="Kind">What it says.</param>
/// <param name="Payload">Depends on the kind.</param>
/// <param name="Descriptors">Descriptors that came with it; the receiver owns them.</param>
internal readonly record struct TakeoverMessage(TakeoverKind Kind, byte[] Payload, IReadOnlyList<int> Descriptors);

/// <summary>A connection between two processes of one user, which can pass file descriptors (unix(7), SCM_RIGHTS). Not
/// thread-safe.</summary>
internal sealed unsafe partial class TakeoverSocket(Socket socket) : IDisposable
{
    /// <summary>The kernel passes no more with one message.</summary>
    private const int MaxDescriptors = 253;

    private const int HeaderBytes = 5; // the payload's length, the kind
    private const int MaxPayloadBytes = 64 << 20;
    private const int SolSocket = 1;
    private const int PassRights = 1;
    private const int PeerCredentials = 17;
    private const int NoSignal = 0x4000;
    private const int CloseOnExec = 0x40000000;
    private const int ControlHeaderBytes = 16; // cmsghdr on 64-bit systems

    public void Dispose() => socket.Dispose();

    /// <summary>The other process.</summary>
    /// <exception cref="TakeoverException">It belongs to another user.</exception>
    public int CheckPeer()
    {
        Span<int> credentials = stackalloc int[3]; // process, user, group
        socket.GetRawSocketOption(SolSocket, PeerCredentials, MemoryMarshal.AsBytes(credentials));
        return credentials[1] == (int)geteuid() || credentials[1] == 0 ? credentials[0]
            : throw new TakeoverException($"process {credentials[0]} belongs to another user");
    }

    /// <exception cref="TakeoverException">The other process has ended the connection.</exception>
    public void Send(TakeoverKind kind, ReadOnlySpan<byte> payload = default, ReadOnlySpan<int> descriptors = default)
    {
        byte[] bytes = new byte[HeaderBytes + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, payload.Length);
        bytes[HeaderBytes - 1] = (byte)kind;
        payload.CopyTo(bytes.AsSpan(HeaderBytes));
        ReadOnlySpan<byte> left = bytes;
        try
        {
            if (!descriptors.IsEmpty)
            {
                left = left[SendWith(descriptors, left)..];
            }
            while (!left.IsEmpty)
            {
                left = left[socket.Send(left)..];
            }
        }
        catch (SocketException e)
        {
            throw new TakeoverException($"the other process cannot be reached: {e.Message}", e);
        }
    }

    /// <summary>Waits for the next message, which must be of this kind.</summary>
    public TakeoverMessage Receive(TakeoverKind kind, TimeSpan timeout)
    {
        TakeoverMessage message = Receive(timeout);
        return message.Kind == kind ? message
            : throw new TakeoverException($"the other process sent {message.Kind} instead of {kind}");
    }

    /// <exception cref="TakeoverException">No message came in time, or the other process has ended the
    /// connection.</exception>
    public TakeoverMessage Receive(TimeSpan timeout)
    {
        byte[] header = new byte[HeaderBytes];
        List<int> descriptors = [];
        Fill(header, timeout, descriptors);
        int length = BinaryPrimitives.ReadInt32LittleEndian(header);
        if (length is < 0 or > MaxPayloadBytes)
        {
            throw new TakeoverException("the other process sent what is not a message");
        }
        byte[] payload = new byte[length];
        Fill(payload, timeout, descriptors);
        return new((TakeoverKind)header[HeaderBytes - 1], payload, descriptors);
    }

    private void Fill(Span<byte> target, TimeSpan timeout, List<int> descriptors)
    {
        while (!target.IsEmpty)
        {
            if (!socket.Poll(timeout, SelectMode.SelectRead))
            {
                throw new TakeoverException($"the other process did not answer within {timeout.TotalSeconds} s");
            }
            int count = ReceiveSome(target, descriptors);
            target = count > 0 ? target[count..]
                : throw new TakeoverException("the other process ended the connection");
        }
    }

    private int SendWith(ReadOnlySpan<int> descriptors, ReadOnlySpan<byte> bytes)
    {
        byte* control = stackalloc byte[ControlHeaderBytes + (MaxDescriptors * sizeof(int))];
        int length = ControlHeaderBytes + (descriptors.Length * sizeof(int));
        *(nint*)control = length;
        *(int*)(control + 8) = SolSocket;
        *(int*)(control + 12) = PassRights;
        descriptors.CopyTo(new Span<int>(control + ControlHeaderBytes, MaxDescriptors));
        fixed (byte* start = bytes)
        {
            var part = new Part { Start = start, Length = bytes.Length };
            var message = new Message { Parts = &part, PartCount = 1, Control = control, ControlLength = length };
            nint sent = sendmsg(socket.SafeHandle, &message, NoSignal);
            return sent >= 0 ? (int)sent : throw new SocketException(Marshal.GetLastPInvokeError());
        }
    }

    private int ReceiveSome(Span<byte> target, List<int> descriptors)
    {
        const int ControlBytes = ControlHeaderBytes + (MaxDescriptors * sizeof(int));
        byte* control = stackalloc byte[ControlBytes];
        fixed (byte* start = target)
        {
            var part = new Part { Start = start, Length = target.Length };
            var message = new Message
            {
                Parts = &part, PartCount = 1, Control = control, ControlLength = ControlBytes,
            };
            nint count = recvmsg(socket.SafeHandle, &message, CloseOnExec);
            if (count > 0 && message.ControlLength > ControlHeaderBytes && *(int*)(control + 12) == PassRights)
            {
                int passed = (int)(*(nint*)control - ControlHeaderBytes) / sizeof(int);
                descriptors.AddRange(new ReadOnlySpan<int>(control + ControlHeaderBytes, passed));
            }
            return (int)count;
        }
    }

    /// <summary>The kernel's struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Part
    {
        public byte* Start;
        public nint Length;
    }

    /// <summary>The kernel's struct msghdr on 64-bit systems.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public nint NameLength;
        public Part* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public nint Flags;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint sendmsg(SafeHandle socket, Message* message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recvmsg(SafeHandle socket, Message* message, int flags);

    [LibraryImport("libc")]
    private static partial uint geteuid();
}
