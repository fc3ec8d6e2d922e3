using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Tls;

/// <summary>The names of the certificate that a client has shown, and that an authority of the listener has issued.
/// Made once per connection. Immutable.</summary>
internal sealed class ClientCertificate
{
    private const string AlternativeNames = "2.5.29.17";

    // Tags of a GeneralName, RFC 5280 §4.2.1.6.
    private static readonly Asn1Tag Mail = new(TagClass.ContextSpecific, 1);
    private static readonly Asn1Tag Dns = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag Uri = new(TagClass.ContextSpecific, 6);

    /// <param name="subject">See <see cref="ShownCertificate.Subject"/>.</param>
    public ClientCertificate(byte[] der, string subject)
    {
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(der);
        Subject = Encoding.UTF8.GetBytes(subject);
        Fingerprint = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(der)));
        AlternativeName = Encoding.UTF8.GetBytes(FirstName(certificate));
    }

    /// <summary>The subject as <c>openssl x509 -noout -subject -nameopt RFC2253</c> prints it.</summary>
    public byte[] Subject { get; }

    /// <summary>The first subject alternative name that is a DNS name, a URI or a mail address; empty: there is
    /// none.</summary>
    public byte[] AlternativeName { get; }

    /// <summary>The SHA-256 of the certificate, in lower-case hexadecimal digits.</summary>
    public byte[] Fingerprint { get; }

    public ReadOnlySpan<byte> Of(CertificatePart part) => part switch
    {
        CertificatePart.Subject => Subject,
        CertificatePart.San => AlternativeName,
        _ => Fingerprint,
    };

    /// <summary>Others would not be a valid value of a header field.</summary>
    private static bool IsPrintable(string name) => name.All(static c => c is > ' ' and <= '~');

    private static string FirstName(X509Certificate2 certificate)
    {
        if (certificate.Extensions[AlternativeNames] is not { } extension)
        {
            return "";
        }
        try
        {
            AsnReader names = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
            while (names.HasData)
            {
                Asn1Tag tag = names.PeekTag();
                if (tag == Mail || tag == Dns || tag == Uri)
                {
                    string name = names.ReadCharacterString(UniversalTagNumber.IA5String, tag);
                    return IsPrintable(name) && name.Length <= ShownCertificate.MaxPartBytes ? name : "";
                }
                names.ReadEncodedValue();
            }
        }
        catch (AsnContentException)
        {
            // A name that is none identifies nobody.
        }
        return "";
    }
}
