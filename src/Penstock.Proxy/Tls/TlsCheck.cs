using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Tls;

/// <summary>Checks TLS settings by the code that uses them. Thread-safe.</summary>
public static class TlsCheck
{
    /// <summary>Why a certificate and its key cannot be used; null: they can.</summary>
    public static string? Fault(CertificateConfig certificate) =>
        Fault(new ListenerTlsConfig { Certificates = [certificate] });

    /// <summary>Why these settings of a listener cannot be used; null: they can.</summary>
    public static string? Fault(ListenerTlsConfig config) =>
        FaultOf(() => _ = new TlsServer(config, GivenCertificates.None, new TicketKeys()));

    /// <summary>Why these settings of an upstream cannot be used; null: they can.</summary>
    public static string? Fault(UpstreamTlsConfig config) => FaultOf(() => _ = new TlsClient(config));

    private static string? FaultOf(Action use)
    {
        try
        {
            use();
            return null;
        }
        catch (TlsException e)
        {
            return e.Message;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return "TLS needs OpenSSL 3, the package libssl3";
        }
    }
}
