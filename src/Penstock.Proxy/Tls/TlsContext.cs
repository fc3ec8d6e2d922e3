using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Penstock.Proxy.Configuration;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>TLS cannot be used as configured. The message is for the operator.</summary>
public sealed class TlsException(string message) : Exception(message);

/// <summary>An SSL_CTX of OpenSSL: what the sessions of one listener, or to one upstream, have in common. A session
/// keeps its SSL_CTX alive. Thread-safe once it is made.</summary>
internal sealed unsafe class TlsContext : SafeHandle
{
    private const nuint PartialChain = 0x80000; // X509_V_FLAG_PARTIAL_CHAIN

    private TlsContext(bool isServer) : base(0, ownsHandle: true)
    {
        IsServer = isServer;
        SetHandle(SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()));
        if (IsInvalid)
        {
            throw Failed("OpenSSL cannot make a context");
        }
        _ = SSL_CTX_ctrl(this, ControlMode, EnablePartialWrite | AcceptMovingWriteBuffer | ReleaseBuffers, 0);
        _ = SSL_CTX_ctrl(this, ControlReadAhead, 1, 0);
        _ = SSL_CTX_set_options(this, NoCompression | NoRenegotiation);
    }

    public bool IsServer { get; }

    /// <summary>The contexts by server name, of a listener; null: of an upstream.</summary>
    public TlsServer? Server { get; init; }

    public override bool IsInvalid => handle == 0;

    /// <summary>A context for a listener.</summary>
    /// <param name="certificates">Certificates for the same names, with different kinds of keys.</param>
    /// <exception cref="TlsException">A certificate or a setting cannot be used.</exception>
    public static TlsContext ForClients(
        TlsServer server, ListenerTlsConfig config, IEnumerable<CertificateConfig> certificates)
    {
        var context = new TlsContext(isServer: true) { Server = server };
        try
        {
            context.SetVersions(config.MinVersion, config.Ciphers, config.Groups);
            foreach (CertificateConfig certificate in certificates)
            {
                context.Use(certificate);
            }
            context.AskForCertificates(config.ClientAuth);
            _ = SSL_CTX_ctrl(context, ControlSessionCacheMode, SessionCacheOff, 0); // tickets need no cache
            _ = SSL_CTX_callback_ctrl(context, ControlServerNameCallback, &TlsServer.OnServerName);
            SSL_CTX_set_alpn_select_cb(context, &TlsServer.OnProtocols, 0);
            if (server.Given.Challenges.Count > 0)
            {
                SSL_CTX_set_client_hello_cb(context, &TlsServer.OnClientHello, 0);
            }
            _ = SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &TicketKeys.OnTicket);
            return context;
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>A context towards backends. It does not end the handshake when a certificate is not accepted, so that
    /// <see cref="TlsClient.Reject"/> can say why.</summary>
    /// <exception cref="TlsException">A certificate cannot be used.</exception>
    public static TlsContext ForBackends(UpstreamTlsConfig config)
    {
        var context = new TlsContext(isServer: false);
        try
        {
            _ = SSL_CTX_ctrl(context, ControlMinVersion, OpenSsl.Tls12, 0);
            SSL_CTX_set_verify(context, VerifyNone, 0);
            if (config.Authorities.Path.Length > 0)
            {
                context.Trust(config.Authorities, named: false);
            }
            else if (config.Verify)
            {
                _ = SSL_CTX_set_default_verify_paths(context);
            }
            if (config.Certificate is { } own)
            {
                context.Use(own);
            }
            _ = SSL_CTX_ctrl(context, ControlSessionCacheMode, SessionCacheClient | SessionCacheNoInternal, 0);
            SSL_CTX_sess_set_new_cb(context, &TlsSession.OnTicket);
            return context;
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    protected override bool ReleaseHandle()
    {
        SSL_CTX_free(handle);
        return true;
    }

    private void SetVersions(TlsVersion oldest, string ciphers, string groups)
    {
        _ = SSL_CTX_ctrl(this, ControlMinVersion, oldest == TlsVersion.Tls13 ? OpenSsl.Tls13 : OpenSsl.Tls12, 0);
        if (SSL_CTX_set_cipher_list(this, ciphers) != 1)
        {
            throw Failed($"OpenSSL knows no cipher of {ciphers}");
        }
        if (SSL_CTX_ctrl(this, ControlGroupsList, 0, groups) != 1)
        {
            throw Failed($"OpenSSL does not know a group of {groups}");
        }
    }

    private void Use(CertificateConfig certificate)
    {
        List<nint> chain = Certificates(certificate.Chain);
        nint key = 0;
        try
        {
            fixed (byte* pem = certificate.Key.AsSpan())
            {
                nint bio = BIO_new_mem_buf(pem, certificate.Key.AsSpan().Length);
                key = PEM_read_bio_PrivateKey(bio, 0, 0, ""); // "": do not ask for a password on the terminal
                _ = BIO_free(bio);
            }
            if (key == 0)
            {
                throw Failed($"{certificate.Key} has no private key that can be read without a password");
            }
            if (SSL_CTX_use_certificate(this, chain[0]) != 1)
            {
                throw Failed($"the certificate of {certificate.Chain} cannot be used");
            }
            if (SSL_CTX_use_PrivateKey(this, key) != 1)
            {
                throw Failed($"the key of {certificate.Key} does not belong to the certificate of {certificate.Chain}");
            }
            for (int i = 1; i < chain.Count; i++)
            {
                _ = SSL_CTX_ctrl(this, ControlChainCertificate, 1, chain[i]); // 1: it takes a reference
            }
        }
        finally
        {
            chain.ForEach(X509_free);
            EVP_PKEY_free(key);
        }
    }

    private void AskForCertificates(ClientAuthConfig? config)
    {
        Span<byte> id = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(config is null ? [] : config.Authorities.AsSpan(), id);
        fixed (byte* start = id)
        {
            // A session that began under other authorities is not resumed.
            _ = SSL_CTX_set_session_id_context(this, start, (uint)id.Length);
        }
        if (config is null)
        {
            return;
        }
        SSL_CTX_set_verify(this, VerifyPeer | (config.Required ? VerifyFailIfNoPeerCertificate : 0), 0);
        Trust(config.Authorities, named: true);
    }

    /// <summary>Trusts these authorities, also those that are not roots.</summary>
    /// <param name="named">Clients are told their names.</param>
    private void Trust(PemText authorities, bool named)
    {
        nint store = SSL_CTX_get_cert_store(this);
        List<nint> certificates = Certificates(authorities);
        foreach (nint certificate in certificates)
        {
            _ = X509_STORE_add_cert(store, certificate);
            if (named)
            {
                _ = SSL_CTX_add_client_CA(this, certificate);
            }
        }
        certificates.ForEach(X509_free);
        _ = X509_STORE_set_flags(store, PartialChain);
    }

    /// <summary>All certificates of a PEM file, at least one. The caller frees them.</summary>
    private static List<nint> Certificates(PemText pem)
    {
        List<nint> all = [];
        fixed (byte* start = pem.AsSpan())
        {
            nint bio = BIO_new_mem_buf(start, pem.AsSpan().Length);
            while (PEM_read_bio_X509(bio, 0, 0, 0) is not 0 and nint certificate)
            {
                all.Add(certificate);
            }
            _ = BIO_free(bio);
        }
        ERR_clear_error();
        return all.Count > 0 ? all : throw Failed($"{pem} has no certificate");
    }

    private static TlsException Failed(string message)
    {
        string cause = TlsSession.Utf8(ERR_reason_error_string(ERR_peek_error()));
        ERR_clear_error();
        return new(cause.Length > 0 ? $"{message}: {cause}" : message);
    }
}
