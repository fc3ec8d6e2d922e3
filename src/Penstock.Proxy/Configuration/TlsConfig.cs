namespace Penstock.Proxy.Configuration;

/// <summary>The versions of TLS that Penstock speaks.</summary>
public enum TlsVersion
{
    /// <summary>TLS 1.2, RFC 5246.</summary>
    Tls12,

    /// <summary>TLS 1.3, RFC 8446.</summary>
    Tls13,
}

/// <summary>TLS on a listener.</summary>
public sealed record ListenerTlsConfig
{
    /// <summary>The certificates. A client gets the one whose names have the server name that it asks for, otherwise
    /// the first. If several certificates have the name, OpenSSL takes the one whose kind of key the client
    /// prefers.</summary>
    /// <value>Key <c>listener_tls.certificates</c>: a mapping, or a list; required, unless Penstock gets certificates
    /// itself.</value>
    public ValueList<CertificateConfig> Certificates { get; init; } = [];

    /// <summary>The oldest version that a client may use.</summary>
    /// <value>Key <c>listener_tls.min_version</c>: <c>1.2</c> or <c>1.3</c>; default: 1.2.</value>
    public TlsVersion MinVersion { get; init; } = TlsVersion.Tls12;

    /// <summary>The cipher suites of TLS 1.2, in OpenSSL's names. Those of TLS 1.3 are OpenSSL's.</summary>
    /// <value>Key <c>listener_tls.ciphers</c>: text; default: Mozilla's intermediate configuration 5.7.</value>
    public string Ciphers { get; init; } = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

    /// <summary>The groups for the key exchange, in OpenSSL's names.</summary>
    /// <value>Key <c>listener_tls.groups</c>: text; default: <c>X25519:prime256v1:secp384r1</c>.</value>
    public string Groups { get; init; } = "X25519:prime256v1:secp384r1";

    /// <summary>Whether clients are asked for a certificate; null: they are not.</summary>
    /// <value>Key <c>listener_tls.client_auth</c>: a mapping; default: clients are not asked.</value>
    public ClientAuthConfig? ClientAuth { get; init; }

    /// <summary>How long browsers may use only HTTPS for the host (HSTS, RFC 6797); zero: they are not told.</summary>
    /// <value>Key <c>listener_tls.hsts</c>: <c>off</c>, or days such as <c>365d</c>, or duration; default: off.</value>
    public TimeSpan Hsts { get; init; }

    /// <summary>The port of a listener without TLS that sends its clients here; 0: none.</summary>
    /// <value>Key <c>listener_tls.redirect_from</c>: <c>off</c>, or 1 to 65,535; default: off.</value>
    public int RedirectFrom { get; init; }
}

/// <summary>TLS towards the backends of an upstream.</summary>
public sealed record UpstreamTlsConfig
{
    /// <summary>The certificates of the authorities that may have issued a backend's certificate; empty: those that
    /// the system trusts.</summary>
    /// <value>Key <c>upstream_tls.ca</c>: text; default: those that the system trusts.</value>
    public PemText Authorities { get; init; } = PemText.Empty;

    /// <summary>The name that every backend must prove, and for which it is asked (SNI); empty: the host of its
    /// URL.</summary>
    /// <value>Key <c>upstream_tls.server_name</c>: text; default: the host of the backend's <c>url</c>.</value>
    public string ServerName { get; init; } = "";

    /// <summary>Whether certificates are checked. Without that, whoever can answer for a backend's address can read and
    /// change everything.</summary>
    /// <value>Key <c>upstream_tls.verify</c>: <c>true</c> or <c>false</c>; default: true.</value>
    public bool Verify { get; init; } = true;

    /// <summary>The certificate that Penstock shows to backends that ask for one; null: none.</summary>
    /// <value>Key <c>upstream_tls.cert</c>: text; default: none.</value>
    public CertificateConfig? Certificate { get; init; }
}

/// <summary>How clients show a certificate of their own.</summary>
public sealed record ClientAuthConfig
{
    /// <summary>The certificates of the authorities that may have issued a client's certificate.</summary>
    /// <value>Key <c>client_auth.ca</c>: text; required.</value>
    public PemText Authorities { get; init; } = PemText.Empty;

    /// <summary>A client without a certificate is rejected.</summary>
    /// <value>Key <c>client_auth.require</c>: <c>true</c> or <c>false</c>; default: true.</value>
    public bool Required { get; init; } = true;

    /// <summary>Header fields in which backends get parts of the client's certificate.</summary>
    /// <value>Key <c>client_auth.pass</c>: <c>FIELD: subject</c>, <c>san</c> or <c>fingerprint</c>; default:
    /// none.</value>
    public ValueList<PassedPart> Passed { get; init; } = [];
}

/// <summary>A part of a client's certificate.</summary>
public enum CertificatePart
{
    /// <summary>The subject in the form of RFC 2253, such as <c>CN=device-7,O=Example</c>.</summary>
    Subject,

    /// <summary>The first subject alternative name that is a DNS name, a URI or a mail address.</summary>
    San,

    /// <summary>The SHA-256 of the certificate, in lower-case hexadecimal digits.</summary>
    Fingerprint,
}

/// <summary>A part of a client's certificate that backends get.</summary>
/// <param name="Field">The name of the header field.</param>
/// <param name="Part">The part.</param>
public sealed record PassedPart(string Field, CertificatePart Part);

/// <summary>A certificate with its chain and its private key.</summary>
/// <param name="Chain">The certificate, then those of the authorities between it and a root.</param>
/// <param name="Key">The private key.</param>
public sealed record CertificateConfig(PemText Chain, PemText Key);

/// <summary>The content of a PEM file. Equal contents are equal. Its text as a string is only the path, so that no
/// message can show a key.</summary>
/// <param name="path">The file, for messages.</param>
/// <param name="content">The file's bytes.</param>
public sealed class PemText(string path, byte[] content) : IEquatable<PemText>
{
    /// <summary>No file.</summary>
    public static PemText Empty { get; } = new("", []);

    /// <summary>A text that is in no file.</summary>
    /// <param name="name">For messages.</param>
    public static PemText Of(string name, string text) => new(name, System.Text.Encoding.ASCII.GetBytes(text));

    /// <summary>The file.</summary>
    public string Path => path;

    /// <summary>The file's bytes.</summary>
    public ReadOnlySpan<byte> AsSpan() => content;

    /// <inheritdoc/>
    public bool Equals(PemText? other) =>
        other is not null && path == other.Path && AsSpan().SequenceEqual(other.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PemText);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(path, content.Length);

    /// <inheritdoc/>
    public override string ToString() => path;
}
