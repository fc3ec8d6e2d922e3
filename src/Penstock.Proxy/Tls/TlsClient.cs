using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Penstock.Proxy.Configuration;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>TLS towards the backends of one upstream. Immutable and thread-safe.</summary>
internal sealed class TlsClient
{
    // Results of a verification, X509_V_ERR_ of x509_vfy.h.
    private const long NotYetValid = 9;
    private const long Expired = 10;
    private const long SelfSigned = 18;
    private const long SelfSignedInChain = 19;
    private const long NoIssuer = 20;
    private const long NoIssuerOfFirst = 21;
    private const long NameMismatch = 62;
    private const long AddressMismatch = 64;

    private readonly TlsContext _context;

    /// <exception cref="TlsException">A certificate cannot be used.</exception>
    public TlsClient(UpstreamTlsConfig config)
    {
        Config = config;
        _context = TlsContext.ForBackends(config);
    }

    public UpstreamTlsConfig Config { get; }

    /// <summary>The name that a backend must prove, and for which it is asked (SNI).</summary>
    /// <param name="host">The host of the backend's URL.</param>
    public string NameOf(string host) => Config.ServerName.Length > 0 ? Config.ServerName : host;

    /// <summary>Begins a session.</summary>
    /// <param name="host">The host of the backend's URL.</param>
    /// <param name="resumption">Where the last session's ticket is, and the next one will be.</param>
    public TlsSession Begin(ITlsTransport transport, string host, TlsResumption resumption)
    {
        resumption.BelongTo(this);
        var session = new TlsSession(_context, transport) { Resumption = resumption };
        session.Expect(NameOf(host));
        return session;
    }

    /// <summary>Why the certificate that a backend has shown is not accepted; null: it is.</summary>
    public string? Reject(TlsSession session, string host)
    {
        long result = session.VerifyResult;
        if (!Config.Verify || result == 0)
        {
            return null;
        }
        byte[]? der = session.PeerCertificate();
        CertificateInfo? shown = der is null ? null : CertificateInfo.OfDer(der);
        string of = $"the certificate of {host}";
        return shown is null ? $"{host} has shown no certificate" : result switch
        {
            NameMismatch or AddressMismatch => $"{of} is for {(shown.Names.Count > 0
                ? string.Join(", ", shown.Names) : shown.Subject)}, not {NameOf(host)}",
            Expired => $"{of} has expired on {Date(shown.NotAfter)}",
            NotYetValid => $"{of} is not valid before {Date(shown.NotBefore)}",
            SelfSigned or SelfSignedInChain or NoIssuer or NoIssuerOfFirst => $"{of} was issued by '{shown.Issuer}', "
                + (Config.Authorities.Path.Length > 0 ? $"which is not in {Config.Authorities}"
                    : "which this system does not trust: set tls.ca of the upstream"),
            _ => $"{of} is not accepted: {TlsSession.VerifyText(result)}",
        };
    }

    private static string Date(DateTimeOffset time) => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}

/// <summary>The ticket with which the next session to a backend continues the last one. One per loop and backend; not
/// thread-safe.</summary>
internal sealed class TlsResumption() : SafeHandle(0, ownsHandle: true)
{
    private TlsClient? _client;

    public override bool IsInvalid => handle == 0;

    /// <summary>Forgets the ticket if it is of other settings: a resumed session does not check the certificate
    /// again.</summary>
    public void BelongTo(TlsClient client)
    {
        if (_client != client)
        {
            _client = client;
            Keep(0);
        }
    }

    /// <summary>Keeps a session of OpenSSL in place of the last one. The caller's reference is this object's from now
    /// on.</summary>
    public void Keep(nint session)
    {
        SSL_SESSION_free(handle);
        SetHandle(session);
    }

    /// <summary>Continues the last session.</summary>
    public void Use(nint ssl)
    {
        if (!IsInvalid)
        {
            _ = SSL_set_session(ssl, handle);
        }
    }

    protected override bool ReleaseHandle()
    {
        SSL_SESSION_free(handle);
        return true;
    }
}
