using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Tls;

/// <summary>What an operator wants to know about the first certificate of a chain.</summary>
/// <param name="Names">Its DNS names and addresses: the subject alternative names (RFC 6125 §6.4); if it has none, its
/// common name.</param>
/// <param name="Subject">Whom it is for.</param>
/// <param name="Issuer">The authority that issued it.</param>
/// <param name="NotBefore">When it begins to be valid.</param>
/// <param name="NotAfter">When it expires.</param>
/// <param name="ChainFault">What is wrong with the certificates behind it; null: nothing.</param>
public sealed record CertificateInfo(ValueList<string> Names, string Subject, string Issuer,
    DateTimeOffset NotBefore, DateTimeOffset NotAfter, string? ChainFault)
{
    /// <summary>The first of its names, or its subject.</summary>
    public string MainName => Names.Count > 0 ? Names[0] : Subject;

    /// <summary>Reads a chain.</summary>
    /// <exception cref="TlsException">It has no certificate that can be read.</exception>
    public static CertificateInfo Of(PemText chain)
    {
        ArgumentNullException.ThrowIfNull(chain);
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(Encoding.ASCII.GetString(chain.AsSpan()));
            X509Certificate2 first = certificates.Count > 0 ? certificates[0]
                : throw new TlsException($"{chain} has no certificate");
            return Of(first, FaultOf(certificates));
        }
        catch (CryptographicException e)
        {
            throw new TlsException($"{chain} has no certificate that can be read: {e.Message}");
        }
        finally
        {
            foreach (X509Certificate2 certificate in certificates)
            {
                certificate.Dispose();
            }
        }
    }

    /// <summary>Reads a certificate that a peer has shown.</summary>
    internal static CertificateInfo OfDer(byte[] der)
    {
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(der);
        return Of(certificate, null);
    }

    private static CertificateInfo Of(X509Certificate2 certificate, string? chainFault) => new(
        [.. NamesOf(certificate)], certificate.Subject, certificate.Issuer,
        new DateTimeOffset(certificate.NotBefore.ToUniversalTime()),
        new DateTimeOffset(certificate.NotAfter.ToUniversalTime()), chainFault);

    private static IEnumerable<string> NamesOf(X509Certificate2 certificate)
    {
        X509SubjectAlternativeNameExtension? names =
            certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return names is not null
            ? names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(static ip => ip.ToString()))
            : certificate.GetNameInfo(X509NameType.DnsName, forIssuer: false) is { Length: > 0 } common ? [common] : [];
    }

    private static string? FaultOf(X509Certificate2Collection chain)
    {
        for (int i = 1; i < chain.Count; i++)
        {
            if (!chain[i - 1].IssuerName.RawData.AsSpan().SequenceEqual(chain[i].SubjectName.RawData))
            {
                return $"certificate {i + 1} is '{chain[i].Subject}', but certificate {i} was issued by "
                    + $"'{chain[i - 1].Issuer}'";
            }
        }
        X509Certificate2 last = chain[^1];
        return chain.Count > 1 || IsRoot(last) || IsIssuedByRoot(last) ? null
            : $"the certificate of its issuer '{last.Issuer}' is missing, so clients that do not know the issuer "
                + "reject it";
    }

    private static bool IsRoot(X509Certificate2 certificate) =>
        certificate.IssuerName.RawData.AsSpan().SequenceEqual(certificate.SubjectName.RawData);

    /// <summary>Whether the issuer is a root that this system trusts.</summary>
    private static bool IsIssuedByRoot(X509Certificate2 certificate)
    {
        using var roots = new X509Store(StoreName.Root, StoreLocation.LocalMachine);
        roots.Open(OpenFlags.ReadOnly);
        return roots.Certificates.Find(
            X509FindType.FindBySubjectDistinguishedName, certificate.Issuer, validOnly: false).Count > 0;
    }
}
