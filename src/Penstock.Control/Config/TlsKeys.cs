using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of TLS that do not belong to one listener.</summary>
internal static class TlsKeys
{
    /// <summary>The remedy for keys of a listener's TLS that are in another place.</summary>
    public const string InListener = "write it in the listener: listen: [{ address: :443, tls: { certificates: "
        + "[{ cert: example.crt, key: example.key }] } }]";

    private static readonly Keys<AcmeBinding> Binding = new Keys<AcmeBinding>("acme_eab", new())
        .Key("kid", Text, binding => binding.KeyId, (binding, v) => binding with { KeyId = v },
            "The key identifier that the CA shows in your account there.")
        .Required()
        .Key("hmac_key", MacKey, binding => binding.HmacKey, (binding, v) => binding with { HmacKey = v },
            "The key that the CA shows beside it.")
        .Required().Secret();

    private static readonly Keys<AcmeConfig> Acme = new Keys<AcmeConfig>("acme", new())
        .Key("names", new ListShape<string>(CertificateName)
        {
            Empty = ("'names' has no name", "write the names that clients use, such as [example.com, www.example.com]"),
            Check = static names => Repeated.Report("name", names, static name => name),
        }, acme => acme.Names, (acme, v) => acme with { Names = [.. v] },
            "The names that clients use; Penstock gets a certificate for each.")
        .Required().AlsoCalled("names: [example.com]", "domains", "domain", "hosts", "host", "name", "san", "sans")
        .Key("email", Email, acme => acme.Email, (acme, v) => acme with { Email = v },
            "Where the CA can reach you. Some CAs require it.")
        .DefaultText("none")
        .AlsoCalled("email: ops@example.com", "contact", "mail", "account_email")
        .Key("directory", new ListShape<string>(CaDirectory)
        {
            Empty = ("'directory' has no CA", "write letsencrypt, or remove the key"),
        }, acme => acme.Directories, (acme, v) => acme with { Directories = [.. v.Distinct()] },
            "The CA: the URL of its ACME directory. When the first CA of a list fails, Penstock tries the next. To use "
                + "a CA means that you accept its terms of service.")
        .AlsoCalled("directory: letsencrypt", "ca_server", "acme_ca", "server", "ca_url", "caserver", "issuer",
            "provider", "endpoint")
        .Custom("ca", Text, ReadRoots, "A file with the certificates (PEM) by which the server of a private CA is "
            + "trusted, relative to the folder of the configuration. They replace those of the system.", "Roots")
        .DefaultText("those of the system")
        .Group("eab", new Mapping<AcmeBinding?>(Binding!), acme => acme.Binding,
            (acme, v) => acme with { Binding = v },
            "Your account at the CA ([external account binding](#external-account-binding)), for CAs that require one.")
        .DefaultText("none")
        .AlsoCalled("eab: { kid: …, hmac_key: \"${HMAC_KEY}\" }", "external_account", "external_account_binding",
            "eab_kid", "eab_hmac_key")
        .Key("storage", FolderPath, acme => acme.Storage, (acme, v) => acme with { Storage = v },
            "The folder for the account, certificates and keys, relative to the working directory. Not if `store` is "
                + "PostgreSQL, which then keeps them: [where they are kept](tls-acme.md#where-certificates-are-kept).")
        .DefaultText("`acme` beside the SQLite file of `store`")
        .AlsoCalled("storage: /var/lib/penstock/acme", "cache", "cache_dir", "dir", "path", "cert_dir", "folder")
        .Key("challenge", OneOf(("http-01", AcmeChallenge.Http01), ("tls-alpn-01", AcmeChallenge.TlsAlpn01)),
            acme => acme.Challenge, (acme, v) => acme with { Challenge = v },
            "How the CA checks that a name is yours: `http-01` by a request to port 80, `tls-alpn-01` by a TLS "
                + "connection to port 443.")
        .AlsoCalled("challenge: http-01", "challenges", "challenge_type")
        .Lacks("Penstock does not have the challenge dns-01: use http-01 or tls-alpn-01", "dns", "dns_01",
            "dns_provider", "dns_challenge", "solvers")
        .Lacks("write directory: letsencrypt-staging", "staging", "test")
        .Lacks("remove it: to use a CA means that you accept its terms", "agree", "agree_tos", "accept_tos",
            "terms_of_service_agreed", "tos");

    private static readonly Keys<TicketsConfig> Tickets = new Keys<TicketsConfig>("tickets", new())
        .Key("keys", FolderPath, tickets => tickets.Keys, (tickets, v) => tickets with { Keys = v },
            "A file with the keys, which nodes share: a client can then resume its session at any of them. Penstock "
                + "makes it, and whichever node sees first that a new key is due adds it. Its path is relative to the "
                + "working directory.")
        .AtStart()
        .DefaultText("none: each process has its own keys")
        .Key("rotate", Duration, tickets => tickets.Rotate, (tickets, v) => tickets with { Rotate = v },
            "How long tickets are made with one key. They are accepted for two times longer.")
        .AtStart();

    /// <summary>The keys of <c>tls</c>.</summary>
    public static readonly Keys<TlsConfig> Table = new Keys<TlsConfig>("tls", new())
        .Group("acme", new Mapping<AcmeConfig?>(Acme!)
        {
            Instead = static _ => "write acme: { names: [example.com] }",
        }, tls => tls.Acme, (tls, v) => tls with { Acme = v },
            "[Certificates that Penstock gets by itself](#acme).")
        .DefaultText("none")
        .AlsoCalled("acme: { names: [example.com] }", "letsencrypt", "lets_encrypt", "auto", "automatic",
            "cert_resolver", "certresolver")
        .Group("tickets", new Mapping<TicketsConfig>(Tickets), tls => tls.Tickets,
            (tls, v) => tls with { Tickets = v }, "[Keys of the tickets](#tickets) by which clients resume sessions.")
        .AlsoCalled("tickets: { keys: /etc/penstock/tickets }", "session_tickets", "ssl_session_ticket_key",
            "ticket_keys")
        .Lacks(InListener, "cert", "key", "certificate", "certificates", "certs", "cert_file", "key_file",
            "min_version");

    /// <summary>Rejects keys that need or exclude others.</summary>
    public static void Check(Section tls, TlsConfig value, PenstockConfig config)
    {
        if (value.Acme is not { } acme)
        {
            return;
        }
        ConfigField at = tls["acme"]!;
        if (acme.Storage.Length > 0 && PostgresUrl.TryParse(config.Store, out _))
        {
            at.Error("'storage' is not used with a store in PostgreSQL, which keeps the certificates for all nodes",
                "remove storage");
        }
        if (acme.Binding is null && acme.Directories.Contains(AcmeConfig.ZeroSsl))
        {
            at.Error(
                "zerossl requires an account", "write eab: { kid: …, hmac_key: … } with the values of your account");
        }
    }

    /// <summary>Reads the certificates by which the CA's server is trusted.</summary>
    private static AcmeConfig ReadRoots(Section section, AcmeConfig acme)
    {
        if (ListenerKeys.Pem(section["ca"]) is not { } roots)
        {
            return acme;
        }
        if (RootsFault(roots) is { } fault)
        {
            section["ca"]!.Error($"{roots} {fault}", "name a file with the root certificate of the CA, in PEM");
        }
        return acme with { Roots = roots };
    }

    private static string? RootsFault(PemText pem)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPem(Encoding.UTF8.GetString(pem.AsSpan()));
            return roots.Count > 0 ? null : "contains no certificate";
        }
        catch (CryptographicException e)
        {
            return $"is not a certificate: {e.Message}";
        }
        finally
        {
            foreach (X509Certificate2 root in roots)
            {
                root.Dispose();
            }
        }
    }
}
