using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Tls;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of a listener and its TLS.</summary>
internal static class ListenerKeys
{
    private const int MaxPemBytes = 1024 * 1024;

    private static readonly Keys<CertificateConfig> Certificate =
        new Keys<CertificateConfig>("certificate", new(PemText.Empty, PemText.Empty))
            .Custom("cert", Text, static (section, certificate) =>
                certificate with { Chain = Pem(section["cert"]) ?? certificate.Chain },
                "A PEM file with the certificate, followed by those of the authorities between it and a root. Its "
                    + "names are those of the certificate. Its path is relative to the folder of the configuration.",
                "Chain")
            .Required()
            .AlsoCalled("cert: /etc/penstock/example.crt", "certificate", "ssl_certificate", "fullchain", "chain",
                "crt", "cert_file", "pem")
            .Custom("key", Text, static (section, certificate) =>
                certificate with { Key = Pem(section["key"]) ?? certificate.Key },
                "A PEM file with the private key, without a password. It may be the file of `cert`.", "Key")
            .Required()
            .AlsoCalled("key: /etc/penstock/example.key", "private_key", "ssl_certificate_key", "key_file", "keyfile")
            .Finally(Check);

    private static readonly Syntax<CertificatePart> Part = OneOf(("subject", CertificatePart.Subject),
        ("san", CertificatePart.San), ("fingerprint", CertificatePart.Fingerprint));

    private static readonly Keys<ClientAuthConfig> ClientAuth = new Keys<ClientAuthConfig>("client_auth", new())
        .Custom("ca", Text, static (section, auth) =>
            auth with { Authorities = Pem(section["ca"]) ?? auth.Authorities },
            "A PEM file with the certificates of the authorities that issue the clients' certificates.", "Authorities")
        .Required()
        .AlsoCalled("ca: clients-ca.pem", "ca_file", "client_ca", "ssl_client_certificate", "trusted_ca", "caFiles")
        .Key("require", Switch, auth => auth.Required, (auth, v) => auth with { Required = v },
            "`true`: a client without such a certificate is rejected in the handshake. `false`: it is served, but a "
                + "certificate that it shows must be valid.")
        .Key("pass", new NamedShape<PassedPart?>(static entry => entry.Parse<CertificatePart>(Part.Parse) is var part
                && RouteRules.HeaderNameFault(entry.Name, ofResponse: false, isSet: true) is null
                ? new(entry.Name, part) : null)
            {
                Name = EditedHeader(ofResponse: false, isSet: true),
                Schema = HealthKeys.NamesOf(Part.Schema),
                Text = "`FIELD: subject`, `san` or `fingerprint`",
                Samples = ["{ X-Client-Subject: subject }", "{ X-Client-Name: san, X-Client-Hash: fingerprint }"],
            }, static _ => [],
            (auth, v) => auth with { Passed = [.. v.Select(static p => p.Value).OfType<PassedPart>()] },
            "Header fields in which backends get parts of the client's certificate: the subject as in RFC 2253, the "
                + "first alternative name, the SHA-256. The same fields of clients are dropped, on every listener.",
            "Passed")
        .DefaultText("none")
        .AlsoCalled("pass: { X-Client-Subject: subject }", "headers", "header", "forward", "passTLSClientCert",
            "forward_client_cert");

    private static readonly Keys<ListenerTlsConfig> Tls = new Keys<ListenerTlsConfig>("listener_tls", new())
        .Key("certificates", new ListShape<CertificateConfig>(new Mapping<CertificateConfig>(Certificate))
        {
            Empty = ("'certificates' has no certificate", "write [{ cert: example.crt, key: example.key }]"),
        }, static tls => (IReadOnlyList<CertificateConfig>)tls.Certificates,
            (tls, v) => tls with { Certificates = [.. v] },
            "[Certificates](#certificates). A client gets the one with the server name that it asks for, also by a "
                + "wildcard, otherwise the first. Several may have the same name, such as one with an ECDSA and one "
                + "with an RSA key.", "Certificates")
        .DefaultText("required, unless [Penstock gets certificates itself](#acme)")
        .AlsoCalled("certificates: [{ cert: example.crt, key: example.key }]", "certificate", "cert", "certs", "key",
            "ssl_certificate", "ssl_certificate_key")
        .Key("min_version", OneOf(("1.2", TlsVersion.Tls12), ("1.3", TlsVersion.Tls13)), tls => tls.MinVersion,
            (tls, v) => tls with { MinVersion = v }, "The oldest version of TLS that a client may use.")
        .AlsoCalled("min_version: \"1.3\"", "protocols", "ssl_protocols", "minVersion", "versions", "version")
        .Key("ciphers", Text, tls => tls.Ciphers, (tls, v) => tls with { Ciphers = v },
            "The cipher suites of TLS 1.2, in OpenSSL's form. Those of TLS 1.3 are OpenSSL's, which are all good.")
        .DefaultText("Mozilla's intermediate configuration 5.7")
        .AlsoCalled("ciphers: ECDHE-ECDSA-AES128-GCM-SHA256", "ssl_ciphers", "cipher_suites", "cipherSuites", "cipher")
        .Key("groups", Text, tls => tls.Groups, (tls, v) => tls with { Groups = v },
            "The groups for the key exchange, in OpenSSL's form.")
        .DefaultText("`X25519:prime256v1:secp384r1`")
        .AlsoCalled("groups: X25519:prime256v1", "curves", "ssl_ecdh_curve", "curvePreferences")
        .Group("client_auth", new Mapping<ClientAuthConfig?>(ClientAuth!), tls => tls.ClientAuth,
            (tls, v) => tls with { ClientAuth = v },
            "Asks clients for a certificate of their own (mutual TLS): [client_auth](#client-certificates).")
        .DefaultText("clients are not asked")
        .AlsoCalled("client_auth: { ca: clients-ca.pem }", "clientAuth", "mtls", "ssl_verify_client", "verify_client",
            "require_client_certificate", "ca-file", "verify")
        .Key("hsts", AgeOrOff, tls => tls.Hsts, (tls, v) => tls with { Hsts = v },
            "Tells browsers, in `Strict-Transport-Security`, to use only HTTPS for this host from now on and for so "
                + "long (RFC 6797); it replaces a backend's field. `365d` is usual once HTTPS works for certain: "
                + "browsers do not forget it.")
        .AlsoCalled("hsts: 365d", "strict_transport_security", "max_age")
        .Key("redirect_from", WholeOr("off", IPEndPoint.MaxPort), tls => tls.RedirectFrom,
            (tls, v) => tls with { RedirectFrom = v },
            "The port of another listener, without TLS, that answers every request with a redirect to this one: 308, "
                + "which keeps method and body.")
        .AlsoCalled("redirect_from: 80", "redirect", "https_redirect", "redirect_http", "force_https")
        .Finally(static (section, tls) =>
        {
            if (section.Sound && TlsCheck.Fault(tls) is { } fault)
            {
                section.At.Error(fault);
            }
        });

    /// <summary>The keys of a listener.</summary>
    public static readonly Keys<ListenerConfig> Table =
        new Keys<ListenerConfig>("listener", new(new IPEndPoint(IPAddress.Any, 0), ""))
            .Key("address", ConfigValue.Listener, listener => listener,
                (listener, v) => listener with { Address = v.Address, Text = v.Text }, "The address to listen on.",
                "Address Text")
            .Required()
            .Key("proxy_protocol", Switch, listener => listener.ProxyProtocol,
                (listener, v) => listener with { ProxyProtocol = v },
                "Every connection must start with a PROXY protocol header, version 1 or 2, with the client's address. "
                    + "Only peers in `clients.trusted_proxies` may connect; others are reset. A Unix socket accepts "
                    + "everybody that its mode allows. A connection without the header is closed.")
            .Key("mode", new Optional<UnixFileMode>(SocketMode), listener => listener.Mode,
                (listener, v) => listener with { Mode = v },
                "The mode of the file of a Unix socket: `0660` lets its owner and its group connect.")
            .DefaultText("from the umask")
            .Then(static (section, listener) =>
            {
                if (listener.Text.Length > 0)
                {
                    AdminKeys.CheckMode(section, listener.Address);
                }
            })
            .Group("tls", new Mapping<ListenerTlsConfig?>(Tls!), listener => listener.Tls,
                (listener, v) => listener with { Tls = v },
                "[TLS](tls.md) (HTTPS): [its keys](#tls-of-a-listener). A PROXY protocol header comes before it.")
            .DefaultText("plain HTTP")
            .AlsoCalled("tls: { certificates: [{ cert: example.crt, key: example.key }] }", "ssl", "https",
                "certificate", "certificates", "cert", "ssl_certificate");

    /// <summary>Reads a PEM file whose path is relative to the folder of the configuration; null if it is faulty.
    /// </summary>
    public static PemText? Pem(ConfigField? field)
    {
        if (field?.Parse<string>(TryText) is not { Length: > 0 } path)
        {
            return null;
        }
        string full = FileReader.Beside(field.Location.File.Name, path);
        if (FileReader.Read(full, field.Report, out string fault, MaxPemBytes) is { } bytes)
        {
            return new(full, bytes);
        }
        field.Error($"cannot read {Quote(path)}: {fault}", FileReader.Hint(path));
        return null;
    }

    private static void Check(Section section, CertificateConfig certificate)
    {
        if (certificate.Chain.Path.Length == 0 || certificate.Key.Path.Length == 0)
        {
            return;
        }
        ConfigField field = section["cert"]!;
        CertificateInfo info;
        try
        {
            info = CertificateInfo.Of(certificate.Chain);
        }
        catch (TlsException e)
        {
            field.Error(e.Message, RemedyFor(certificate.Chain));
            return;
        }
        if (TlsCheck.Fault(certificate) is { } fault)
        {
            section["key"]!.Error(fault, fault.Contains("does not belong", StringComparison.Ordinal)
                ? "the certificate of this key must be the first in its file" : null);
            return;
        }
        if (info.ChainFault is { } gap)
        {
            field.Warning($"{certificate.Chain}: {gap}", "append the certificates of the authorities to the file, in "
                + "order, without the root");
        }
        if (KeyModeFault(certificate.Key.Path) is { } mode)
        {
            section["key"]!.Warning(mode, $"chmod 600 {certificate.Key.Path}");
        }
    }

    /// <summary>What a file without a certificate seems to be; null: nobody knows.</summary>
    private static string? RemedyFor(PemText file)
    {
        ReadOnlySpan<byte> bytes = file.AsSpan();
        return bytes.IndexOf("CERTIFICATE REQUEST-----"u8) >= 0
            ? "this is a request: write the certificate that the authority has made of it"
            : bytes.IndexOf("PRIVATE KEY-----"u8) >= 0 ? "this is a private key: are cert and key exchanged?"
            : bytes is [0x30, ..] ? "make PEM of it: openssl x509 -inform der -in FILE -out FILE.pem" : null;
    }

    /// <summary>Others than the file's owner and group may read a private key.</summary>
    private static string? KeyModeFault(string path) =>
        (File.GetUnixFileMode(path) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) == UnixFileMode.None ? null
            : $"every user of this machine may read the private key in {path}";
}
