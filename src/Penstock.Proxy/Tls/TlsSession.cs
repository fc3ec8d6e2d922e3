using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>What a handshake needs to go on.</summary>
internal enum HandshakeState : byte
{
    Done,
    NeedsData,
    NeedsSpace,
    Failed,
}

/// <summary>The socket below a session. The results are those of <c>Connection.TryReceive</c> and <c>TrySend</c>: bytes
/// moved, 0 at the end of the stream, -1 if it would block, -2 if it is broken.</summary>
internal interface ITlsTransport
{
    int ReceiveRaw(Span<byte> buffer);

    /// <param name="more">Further bytes or the end of the stream are likely to follow at once; the kernel may hold
    /// these back until then, or for 200 ms.</param>
    int SendRaw(ReadOnlySpan<byte> bytes, bool more);
}

/// <summary>TLS on one connection: an SSL of OpenSSL above a BIO that reads and writes through the connection itself,
/// so readiness, deadlines and socket stay the connection's. OpenSSL calls back only during a call into it, on the same
/// thread. The owner frees it once. Not thread-safe.</summary>
internal sealed unsafe class TlsSession
{
    public const int WouldBlock = -1;
    public const int Broken = -2;

    /// <summary>This many bytes may arrive in a row without data for the receiver: parts of records, or tickets. More
    /// are a flood of messages such as KeyUpdate, which cost a sender less than the receiver, and which OpenSSL would
    /// handle without an end. Also what one <see cref="Receive"/> takes from the socket besides data.</summary>
    private const int MaxBytesWithoutData = 64 * 1024;

    private readonly ITlsTransport _transport;
    private GCHandle _self;
    private nint _ssl;
    private ArraySegment<byte> _early;
    private long _received; // bytes of the socket
    private long _receivedAtData; // the same when the receiver last got data
    private bool _broken;
    private bool _isLast; // the end of the stream follows what is sent now
    private bool _ended; // the close_notify has been sent
    private bool _sendBroken; // the socket takes no more bytes; those that have arrived can still be received
    private bool _receiveNeedsSpace; // a receive cannot go on before the socket takes more bytes

    /// <param name="early">Bytes that were received before the session began, such as those behind a PROXY protocol
    /// header.</param>
    /// <exception cref="TlsException">OpenSSL has no memory.</exception>
    public TlsSession(TlsContext context, ITlsTransport transport, ArraySegment<byte> early = default)
    {
        (Context, _transport, _early) = (context, transport, early);
        _ssl = SSL_new(context);
        nint bio = _ssl == 0 ? 0 : BIO_new(TlsBio.Method);
        if (bio == 0)
        {
            SSL_free(_ssl);
            throw new TlsException("OpenSSL has no memory for a session");
        }
        _self = GCHandle.Alloc(this);
        BIO_set_data(bio, GCHandle.ToIntPtr(_self));
        BIO_set_init(bio, 1);
        SSL_set_bio(_ssl, bio, bio); // the SSL owns it now
        _ = SSL_set_ex_data(_ssl, TlsBio.SessionIndex, GCHandle.ToIntPtr(_self));
        if (context.IsServer)
        {
            SSL_set_accept_state(_ssl);
        }
        else
        {
            SSL_set_connect_state(_ssl);
        }
    }

    /// <summary>Decrypted or received bytes may be there although the socket has none.</summary>
    public bool HasData { get; private set; } = true;

    /// <summary>Why it failed, in OpenSSL's words; empty: it has not, or the connection ended.</summary>
    public string Fault { get; private set; } = "";

    /// <summary>The client does not speak TLS but HTTP.</summary>
    public bool IsPlainHttp { get; private set; }

    /// <summary>The handshake is done.</summary>
    public bool IsEstablished { get; private set; }

    /// <summary>The client is a certificate authority that checks a name.</summary>
    public bool IsChallenge { get; set; }

    /// <summary>An earlier session was resumed.</summary>
    public bool IsResumed => SSL_session_reused(_ssl) != 0;

    /// <summary>The client's certificate; null: it has shown none, or <see cref="ReadCertificate"/> was not
    /// called.</summary>
    public ClientCertificate? Certificate { get; private set; }

    /// <summary>The session of an SSL of OpenSSL, for callbacks.</summary>
    public static TlsSession Of(nint ssl) =>
        (TlsSession)GCHandle.FromIntPtr(SSL_get_ex_data(ssl, TlsBio.SessionIndex)).Target!;

    /// <summary>The context that the session began with.</summary>
    public TlsContext Context { get; }

    /// <summary>Where the tickets of this session go, and that of the last one comes from; null: sessions are not
    /// resumed.</summary>
    public TlsResumption? Resumption { get; init; }

    /// <summary>The result of the verification of the peer's certificate; 0: it is accepted.</summary>
    public long VerifyResult => SSL_get_verify_result(_ssl);

    /// <summary>A result of a verification in OpenSSL's words.</summary>
    public static string VerifyText(long result) => Utf8(X509_verify_cert_error_string((nint)result));

    /// <summary>Sets the name that the peer must prove: a DNS name, for which it is also asked (SNI), or an
    /// address.</summary>
    public void Expect(string name)
    {
        if (AddressText.TryParseScoped(name, out _))
        {
            _ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(_ssl), name);
        }
        else
        {
            _ = SSL_set1_host(_ssl, name);
            _ = SSL_ctrl(_ssl, ControlHostName, 0, name);
        }
        Resumption?.Use(_ssl);
    }

    /// <summary>Keeps a new ticket of the peer.</summary>
    /// <returns>1: the reference to the session is taken.</returns>
    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    internal static int OnTicket(nint ssl, nint session)
    {
        try
        {
            if (Of(ssl).Resumption is { } resumption)
            {
                resumption.Keep(session);
                return 1;
            }
        }
        catch (Exception)
        {
            // Without the ticket, the next handshake is a full one.
        }
        return 0;
    }

    /// <summary>Does as much of the handshake as the bytes that have arrived allow.</summary>
    public HandshakeState Handshake()
    {
        if (_broken)
        {
            return HandshakeState.Failed;
        }
        int result = SSL_do_handshake(_ssl);
        if (result == 1)
        {
            (IsEstablished, _receivedAtData) = (true, _received);
            return HandshakeState.Done;
        }
        switch (Explain(result))
        {
            case ErrorWantRead:
                return HandshakeState.NeedsData;
            case ErrorWantWrite:
                return HandshakeState.NeedsSpace;
            default:
                return HandshakeState.Failed;
        }
    }

    /// <summary>The socket takes bytes again.</summary>
    /// <returns>True if a receive waited for that.</returns>
    public bool TakeSpace()
    {
        bool waited = _receiveNeedsSpace;
        _receiveNeedsSpace = false;
        HasData |= waited;
        return waited;
    }

    /// <returns>Bytes received; 0 when the peer has ended its stream by a close_notify; <see cref="WouldBlock"/>;
    /// <see cref="Broken"/>, also at an end of the stream without close_notify, because an attacker could have cut it.
    /// </returns>
    public int Receive(Span<byte> buffer)
    {
        if (_broken || buffer.IsEmpty)
        {
            return _broken ? Broken : WouldBlock;
        }
        int count = 0;
        long enough = _received + buffer.Length + MaxBytesWithoutData;
        fixed (byte* start = buffer)
        {
            // SSL_read returns one record at most.
            do
            {
                int result = SSL_read(_ssl, start + count, buffer.Length - count);
                if (result > 0)
                {
                    count += result;
                    _receivedAtData = _received;
                    HasData = SSL_has_pending(_ssl) != 0;
                    continue;
                }
                int error = Explain(result);
                HasData = false;
                if (error is not (ErrorWantRead or ErrorWantWrite))
                {
                    // The bytes before come first; the next call finds the end again.
                    HasData = true;
                    return count > 0 ? count : error == ErrorZeroReturn ? 0 : Broken;
                }
                _receiveNeedsSpace = error == ErrorWantWrite;
                break;
            }
            while (HasData && count < buffer.Length && _received < enough);
        }
        return count > 0 ? count : WouldBlock;
    }

    /// <summary>Handles records that carry no bytes for the receiver, such as session tickets.</summary>
    /// <returns>True if there are bytes for the receiver, or the stream has ended.</returns>
    public bool Peek()
    {
        if (_broken)
        {
            return true;
        }
        byte one;
        int result = SSL_peek(_ssl, &one, 1);
        if (result > 0)
        {
            _receivedAtData = _received;
            return HasData = true;
        }
        int error = Explain(result);
        HasData = false;
        _receiveNeedsSpace = error == ErrorWantWrite;
        return error is not (ErrorWantRead or ErrorWantWrite);
    }

    /// <param name="isLast"><see cref="End"/> follows at once.</param>
    /// <returns>Bytes that were encrypted and taken by the socket, possibly fewer than given; <see cref="WouldBlock"/>:
    /// call it again with the same bytes; <see cref="Broken"/>.</returns>
    public int Send(ReadOnlySpan<byte> bytes, bool isLast = false)
    {
        int sent = 0;
        _isLast = isLast;
        fixed (byte* start = bytes)
        {
            while (sent < bytes.Length && !_broken && !_sendBroken)
            {
                int result = SSL_write(_ssl, start + sent, bytes.Length - sent);
                if (result <= 0)
                {
                    int error = Explain(result);
                    if (error == ErrorWantWrite)
                    {
                        break;
                    }
                    _broken |= error != ErrorSyscall; // also if it wants to read, which only a renegotiation would
                }
                sent += Math.Max(0, result);
            }
        }
        return sent > 0 ? sent : _broken || _sendBroken ? Broken : WouldBlock;
    }

    /// <summary>Ends the stream to the peer by a close_notify, if the socket takes it now. The caller then ends that of
    /// the socket. When the close_notify has been sent, a further call does nothing: OpenSSL would receive then, and
    /// take an alert of the peer for the end of its stream.</summary>
    public void End()
    {
        if (IsEstablished && !_broken && !_ended)
        {
            _isLast = true;
            _ended = SSL_shutdown(_ssl) >= 0;
            ERR_clear_error();
        }
    }

    /// <summary>Reads the names of the client's certificate, after the handshake.</summary>
    public void ReadCertificate()
    {
        using ShownCertificate? shown = ShownCertificate.Of(_ssl);
        Certificate = shown is null ? null : new(shown.Der(), shown.Subject());
    }

    /// <summary>The peer's certificate in DER; null: it has shown none.</summary>
    public byte[]? PeerCertificate()
    {
        using ShownCertificate? shown = ShownCertificate.Of(_ssl);
        return shown?.Der();
    }

    /// <summary>Frees what OpenSSL holds. The session is broken from now on.</summary>
    public void Free()
    {
        if (_ssl != 0)
        {
            SSL_free(_ssl); // frees the BIO, too
            (_ssl, _broken) = (0, true);
            _self.Free();
        }
    }

    /// <summary>For the BIO.</summary>
    internal int ReadTransport(Span<byte> buffer)
    {
        if (_early.Count == 0)
        {
            if (IsEstablished && _received - _receivedAtData > MaxBytesWithoutData)
            {
                Fault = "it sends messages without data";
                return Broken;
            }
            int received = _transport.ReceiveRaw(buffer);
            _received += Math.Max(0, received);
            return received;
        }
        int count = Math.Min(_early.Count, buffer.Length);
        _early.AsSpan(0, count).CopyTo(buffer);
        _early = _early[count..];
        return count;
    }

    /// <summary>For the BIO. To OpenSSL a socket that takes no more bytes is one that would block, because after an
    /// error it would not receive either: the response of a server that closes early has arrived by then.</summary>
    internal int WriteTransport(ReadOnlySpan<byte> bytes)
    {
        // Tickets can wait for the first response.
        bool more = _isLast || (!IsEstablished && SSL_get_state(_ssl) == StateSendingTicket);
        int sent = _transport.SendRaw(bytes, more);
        _sendBroken |= sent == Broken;
        return sent == Broken ? WouldBlock : sent;
    }

    internal static string Utf8(byte* text) => text is null ? "" : Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>OpenSSL's error after a call that did not succeed. Notes the cause of a failure, and leaves the
    /// thread's queue of errors empty, as every call needs it.</summary>
    private int Explain(int result)
    {
        int error = SSL_get_error(_ssl, result);
        if (error is ErrorWantRead or ErrorWantWrite or ErrorZeroReturn)
        {
            return error == ErrorWantWrite && _sendBroken ? ErrorSyscall : error;
        }
        _broken = true;
        nuint code = ERR_peek_error();
        int reason = (int)(code & 0x7FFFFF);
        IsPlainHttp = reason == ReasonHttpRequest;
        if (reason != ReasonUnexpectedEof && error != ErrorSyscall)
        {
            long verified = SSL_get_verify_result(_ssl);
            Fault = verified != 0 ? VerifyText(verified)
                : reason == ReasonWrongVersion ? "it does not speak TLS (wrong version number)"
                : Utf8(ERR_reason_error_string(code));
        }
        ERR_clear_error();
        return error;
    }
}
