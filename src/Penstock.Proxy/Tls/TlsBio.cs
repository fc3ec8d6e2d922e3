using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>The BIO through which OpenSSL reads and writes the connection of a <see cref="TlsSession"/>. No exception
/// may leave a callback, because it would end the process.</summary>
internal static unsafe class TlsBio
{
    private const int ExDataOfSsl = 0;

    /// <summary>The method of such a BIO.</summary>
    public static readonly nint Method = MakeMethod();

    /// <summary>Where an SSL keeps the handle of its session.</summary>
    public static readonly int SessionIndex = CRYPTO_get_ex_new_index(ExDataOfSsl, 0, 0, 0, 0, 0);

    private static nint MakeMethod()
    {
        nint method = BIO_meth_new(BIO_get_new_index() | BioTypeSourceSink, "penstock");
        _ = BIO_meth_set_read(method, &Read);
        _ = BIO_meth_set_write(method, &Write);
        _ = BIO_meth_set_ctrl(method, &Control);
        return method;
    }

    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    private static int Read(nint bio, byte* buffer, int length)
    {
        try
        {
            BIO_clear_flags(bio, BioRetryFlags);
            int count = SessionOf(bio).ReadTransport(new Span<byte>(buffer, length));
            if (count == TlsSession.WouldBlock)
            {
                BIO_set_flags(bio, BioRead | BioShouldRetry);
            }
            return Math.Max(count, -1);
        }
        catch (Exception)
        {
            return -1;
        }
    }

    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    private static int Write(nint bio, byte* buffer, int length)
    {
        try
        {
            BIO_clear_flags(bio, BioRetryFlags);
            int count = SessionOf(bio).WriteTransport(new ReadOnlySpan<byte>(buffer, length));
            if (count == TlsSession.WouldBlock)
            {
                BIO_set_flags(bio, BioWrite | BioShouldRetry);
            }
            return Math.Max(count, -1);
        }
        catch (Exception)
        {
            return -1;
        }
    }

    /// <summary>OpenSSL asks for the end of the stream after a read of 0, and flushes after a message.</summary>
    [UnmanagedCallersOnly]
    private static nint Control(nint bio, int command, nint number, nint pointer) =>
        command is BioControlEof or BioControlFlush ? 1 : 0;

    private static TlsSession SessionOf(nint bio) =>
        Unsafe.As<TlsSession>(GCHandle.FromIntPtr(BIO_get_data(bio)).Target!);
}
