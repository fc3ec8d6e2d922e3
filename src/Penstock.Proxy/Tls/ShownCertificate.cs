using System.Runtime.InteropServices;
using System.Text;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>The certificate that the peer of a session has shown: an X509 of OpenSSL.</summary>
internal sealed unsafe class ShownCertificate : SafeHandle
{
    /// <summary>The maximum length of a part of a certificate; a longer one is cut.</summary>
    public const int MaxPartBytes = 4096;

    private ShownCertificate(nint certificate)
        : base(0, ownsHandle: true) => SetHandle(certificate);

    public override bool IsInvalid => handle == 0;

    /// <returns>Null: the peer has shown none.</returns>
    public static ShownCertificate? Of(nint ssl) =>
        SSL_get1_peer_certificate(ssl) is not 0 and nint certificate ? new(certificate) : null;

    public byte[] Der()
    {
        byte[] der = new byte[i2d_X509(handle, null)];
        fixed (byte* start = der)
        {
            byte* target = start;
            _ = i2d_X509(handle, &target);
        }
        return der;
    }

    /// <summary>The subject in the form of RFC 2253.</summary>
    public string Subject()
    {
        nint bio = BIO_new(BIO_s_mem());
        byte[] text = new byte[MaxPartBytes];
        _ = X509_NAME_print_ex(bio, X509_get_subject_name(handle), 0, NameFlagsRfc2253);
        fixed (byte* start = text)
        {
            int length = BIO_read(bio, start, text.Length);
            _ = BIO_free(bio);
            return Encoding.UTF8.GetString(text, 0, Math.Max(0, length));
        }
    }

    protected override bool ReleaseHandle()
    {
        X509_free(handle);
        return true;
    }
}
