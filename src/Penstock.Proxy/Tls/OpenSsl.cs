using System.Runtime.InteropServices;

namespace Penstock.Proxy.Tls;

/// <summary>The functions of OpenSSL 3 that Penstock calls. The library is the one that .NET itself loads, so security
/// fixes come with the system. Only functions that exist since OpenSSL 1.1.1 or 3.0 and have not changed.</summary>
internal static unsafe partial class OpenSsl
{
    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    // ---- values of ssl.h, tls1.h, sslerr.h, bio.h

    public const int ErrorSsl = 1;
    public const int ErrorWantRead = 2;
    public const int ErrorWantWrite = 3;
    public const int ErrorSyscall = 5;
    public const int ErrorZeroReturn = 6;

    public const int ReasonHttpRequest = 156;
    public const int ReasonWrongVersion = 267;
    public const int ReasonUnexpectedEof = 294;

    public const int VerifyNone = 0;
    public const int VerifyPeer = 1;
    public const int VerifyFailIfNoPeerCertificate = 2;

    public const int ServerNameOk = 0;
    public const int AlertFatal = 2;
    public const int NoAcknowledgement = 3;

    public const int ClientHelloSuccess = 1;
    public const uint ExtensionServerName = 0;
    public const uint ExtensionProtocols = 16;

    public const ulong NoCompression = 1UL << 17;
    public const ulong NoRenegotiation = 1UL << 30;

    public const int EnablePartialWrite = 1;
    public const int AcceptMovingWriteBuffer = 2;
    public const int ReleaseBuffers = 0x10;

    public const int SessionCacheOff = 0;
    public const int SessionCacheClient = 1;
    public const int SessionCacheNoInternal = 0x300;

    public const int StateSendingTicket = 33; // TLS_ST_SW_SESSION_TICKET

    public const int Tls12 = 0x0303;
    public const int Tls13 = 0x0304;

    public const int ControlMode = 33;
    public const int ControlReadAhead = 41;
    public const int ControlSessionCacheMode = 44;
    public const int ControlServerNameCallback = 53;
    public const int ControlHostName = 55;
    public const int ControlChainCertificate = 89;
    public const int ControlGroupsList = 92;
    public const int ControlMinVersion = 123;

    public const nuint NameFlagsRfc2253 = 0x1110317; // XN_FLAG_RFC2253

    public const int BioTypeSourceSink = 0x400;
    public const int BioControlEof = 2;
    public const int BioControlFlush = 11;
    public const int BioRead = 1;
    public const int BioWrite = 2;
    public const int BioShouldRetry = 8;
    public const int BioRetryFlags = 0xF;

    // ---- contexts

    [LibraryImport(Ssl)]
    public static partial nint TLS_server_method();

    [LibraryImport(Ssl)]
    public static partial nint TLS_client_method();

    [LibraryImport(Ssl)]
    public static partial nint SSL_CTX_new(nint method);

    [LibraryImport(Ssl)]
    public static partial void SSL_CTX_free(nint context);

    [LibraryImport(Ssl)]
    public static partial nint SSL_CTX_ctrl(TlsContext context, int command, nint number, nint pointer);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint SSL_CTX_ctrl(TlsContext context, int command, nint number, string text);

    [LibraryImport(Ssl)]
    public static partial nint SSL_CTX_callback_ctrl(TlsContext context, int command,
        delegate* unmanaged<nint, int*, nint, int> callback);

    [LibraryImport(Ssl)]
    public static partial ulong SSL_CTX_set_options(TlsContext context, ulong options);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_CTX_set_cipher_list(TlsContext context, string list);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_use_certificate(TlsContext context, nint certificate);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_use_PrivateKey(TlsContext context, nint key);

    [LibraryImport(Ssl)]
    public static partial void SSL_CTX_set_verify(TlsContext context, int mode, nint callback);

    [LibraryImport(Ssl)]
    public static partial nint SSL_CTX_get_cert_store(TlsContext context);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_set_default_verify_paths(TlsContext context);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_add_client_CA(TlsContext context, nint certificate);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_set_session_id_context(TlsContext context, byte* id, uint length);

    [LibraryImport(Ssl)]
    public static partial void SSL_CTX_set_alpn_select_cb(TlsContext context,
        delegate* unmanaged<nint, byte**, byte*, byte*, uint, nint, int> callback, nint argument);

    [LibraryImport(Ssl)]
    public static partial void SSL_CTX_set_client_hello_cb(TlsContext context,
        delegate* unmanaged<nint, int*, nint, int> callback, nint argument);

    [LibraryImport(Ssl)]
    public static partial int SSL_CTX_set_tlsext_ticket_key_evp_cb(TlsContext context,
        delegate* unmanaged<nint, byte*, byte*, nint, nint, int, int> callback);

    [LibraryImport(Ssl)]
    public static partial void SSL_CTX_sess_set_new_cb(TlsContext context,
        delegate* unmanaged<nint, nint, int> callback);

    // ---- sessions

    [LibraryImport(Ssl)]
    public static partial nint SSL_new(TlsContext context);

    [LibraryImport(Ssl)]
    public static partial void SSL_free(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_get_state(nint ssl);

    [LibraryImport(Ssl)]
    public static partial void SSL_set_bio(nint ssl, nint read, nint write);

    [LibraryImport(Ssl)]
    public static partial int SSL_set_ex_data(nint ssl, int index, nint data);

    [LibraryImport(Ssl)]
    public static partial nint SSL_get_ex_data(nint ssl, int index);

    [LibraryImport(Ssl)]
    public static partial void SSL_set_accept_state(nint ssl);

    [LibraryImport(Ssl)]
    public static partial void SSL_set_connect_state(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_do_handshake(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_read(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl)]
    public static partial int SSL_peek(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl)]
    public static partial int SSL_write(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl)]
    public static partial int SSL_shutdown(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_get_error(nint ssl, int result);

    [LibraryImport(Ssl)]
    [SuppressGCTransition]
    public static partial int SSL_has_pending(nint ssl);

    [LibraryImport(Ssl)]
    public static partial nint SSL_set_SSL_CTX(nint ssl, TlsContext context);

    [LibraryImport(Ssl)]
    public static partial int SSL_client_hello_get0_ext(nint ssl, uint type, byte** content, nuint* length);

    [LibraryImport(Ssl)]
    public static partial void SSL_set_verify(nint ssl, int mode, nint callback);

    [LibraryImport(Ssl)]
    public static partial byte* SSL_get_servername(nint ssl, int type);

    [LibraryImport(Ssl)]
    public static partial nint SSL_get1_peer_certificate(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_session_reused(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_version(nint ssl);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint SSL_ctrl(nint ssl, int command, nint number, string text);

    [LibraryImport(Ssl, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_set1_host(nint ssl, string name);

    [LibraryImport(Ssl)]
    public static partial nint SSL_get0_param(nint ssl);

    [LibraryImport(Ssl)]
    public static partial nint SSL_get_verify_result(nint ssl);

    [LibraryImport(Ssl)]
    public static partial int SSL_set_session(nint ssl, nint session);

    [LibraryImport(Ssl)]
    public static partial void SSL_SESSION_free(nint session);

    // ---- libcrypto

    [LibraryImport(Crypto)]
    public static partial int CRYPTO_get_ex_new_index(int kind, nint argument, nint number, nint create, nint copy,
        nint free);

    [LibraryImport(Crypto)]
    public static partial nuint ERR_peek_error();

    [LibraryImport(Crypto)]
    public static partial byte* ERR_reason_error_string(nuint error);

    [LibraryImport(Crypto)]
    public static partial void ERR_clear_error();

    [LibraryImport(Crypto)]
    public static partial int BIO_get_new_index();

    [LibraryImport(Crypto, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint BIO_meth_new(int type, string name);

    [LibraryImport(Crypto)]
    public static partial int BIO_meth_set_read(nint method, delegate* unmanaged<nint, byte*, int, int> read);

    [LibraryImport(Crypto)]
    public static partial int BIO_meth_set_write(nint method, delegate* unmanaged<nint, byte*, int, int> write);

    [LibraryImport(Crypto)]
    public static partial int BIO_meth_set_ctrl(nint method, delegate* unmanaged<nint, int, nint, nint, nint> control);

    [LibraryImport(Crypto)]
    public static partial nint BIO_new(nint method);

    [LibraryImport(Crypto)]
    public static partial nint BIO_new_mem_buf(byte* bytes, int length);

    [LibraryImport(Crypto)]
    public static partial nint BIO_s_mem();

    [LibraryImport(Crypto)]
    public static partial int BIO_read(nint bio, byte* target, int length);

    [LibraryImport(Crypto)]
    public static partial int BIO_free(nint bio);

    [LibraryImport(Crypto)]
    public static partial void BIO_set_data(nint bio, nint data);

    [LibraryImport(Crypto)]
    [SuppressGCTransition]
    public static partial nint BIO_get_data(nint bio);

    [LibraryImport(Crypto)]
    public static partial void BIO_set_init(nint bio, int init);

    [LibraryImport(Crypto)]
    [SuppressGCTransition]
    public static partial void BIO_set_flags(nint bio, int flags);

    [LibraryImport(Crypto)]
    [SuppressGCTransition]
    public static partial void BIO_clear_flags(nint bio, int flags);

    [LibraryImport(Crypto)]
    public static partial nint PEM_read_bio_X509(nint bio, nint target, nint callback, nint argument);

    [LibraryImport(Crypto, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint PEM_read_bio_PrivateKey(nint bio, nint target, nint callback, string password);

    [LibraryImport(Crypto)]
    public static partial void X509_free(nint certificate);

    [LibraryImport(Crypto)]
    public static partial int i2d_X509(nint certificate, byte** target);

    [LibraryImport(Crypto)]
    public static partial nint X509_get_subject_name(nint certificate);

    [LibraryImport(Crypto)]
    public static partial int X509_NAME_print_ex(nint bio, nint name, int indent, nuint flags);

    [LibraryImport(Crypto)]
    public static partial int X509_STORE_add_cert(nint store, nint certificate);

    [LibraryImport(Crypto)]
    public static partial int X509_STORE_set_flags(nint store, nuint flags);

    [LibraryImport(Crypto)]
    public static partial byte* X509_verify_cert_error_string(nint error);

    [LibraryImport(Crypto, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int X509_VERIFY_PARAM_set1_ip_asc(nint parameters, string address);

    [LibraryImport(Crypto)]
    public static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Crypto, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint EVP_CIPHER_fetch(nint library, string name, nint properties);

    [LibraryImport(Crypto)]
    public static partial int EVP_EncryptInit_ex(nint context, nint cipher, nint engine, byte* key, byte* iv);

    [LibraryImport(Crypto)]
    public static partial int EVP_DecryptInit_ex(nint context, nint cipher, nint engine, byte* key, byte* iv);

    [LibraryImport(Crypto)]
    public static partial int EVP_MAC_CTX_set_params(nint context, OsslParam* parameters);

    [LibraryImport(Crypto)]
    public static partial int RAND_bytes(byte* target, int length);

    /// <summary>OSSL_PARAM of core.h. An array of it ends with an entry without a key.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct OsslParam
    {
        public const uint Utf8String = 4;
        public const uint ByteString = 5;

        public byte* Key;
        public uint DataType;
        public void* Data;
        public nuint DataSize;
        public nuint ReturnSize;
    }
}
