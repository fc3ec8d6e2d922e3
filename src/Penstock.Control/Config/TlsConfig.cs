using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>What listeners and the control plane share about TLS.</summary>
internal sealed record TlsConfig
{
    /// <summary>Null: Penstock gets no certificates by itself.</summary>
    public AcmeConfig? Acme { get; init; }

    public TicketsConfig Tickets { get; init; } = new();
}

/// <summary>The keys of TLS session tickets.</summary>
internal sealed record TicketsConfig
{
    /// <summary>The file that nodes share; empty: each process has its own keys.</summary>
    public string Keys { get; init; } = "";

    /// <summary>How long tickets are made with one key; they are accepted for two times longer.</summary>
    public TimeSpan Rotate { get; init; } = TimeSpan.FromHours(12);
}

/// <summary>How the CA checks that a name leads to this Penstock.</summary>
internal enum AcmeChallenge
{
    /// <summary>The CA asks for a file at port 80 (RFC 8555 §8.3).</summary>
    Http01,

    /// <summary>The CA asks for a special certificate at port 443 (RFC 8737).</summary>
    TlsAlpn01,
}

/// <summary>Certificates that Penstock gets from a certificate authority (CA) by ACME (RFC 8555).</summary>
internal sealed record AcmeConfig
{
    /// <summary>One certificate for each of them.</summary>
    public ValueList<string> Names { get; init; } = [];

    /// <summary>Empty: the CA gets no address.</summary>
    public string Email { get; init; } = "";

    /// <summary>The URLs of the CAs' directories. When one CA fails, the next is tried.</summary>
    public ValueList<string> Directories { get; init; } = [LetsEncrypt];

    /// <summary>Certificates by which the CA's own server is trusted; empty: those of the system.</summary>
    public PemText Roots { get; init; } = PemText.Empty;

    /// <summary>Null: the CA has not given Penstock's operator an account before.</summary>
    public AcmeBinding? Binding { get; init; }

    /// <summary>The folder for certificates and keys; empty: beside the store, or in it.</summary>
    public string Storage { get; init; } = "";

    public AcmeChallenge Challenge { get; init; }

    public const string LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

    public const string LetsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory";

    public const string ZeroSsl = "https://acme.zerossl.com/v2/DV90";
}

/// <summary>An account that the operator has at the CA, to which the ACME account is bound (RFC 8555 §7.3.4).</summary>
internal sealed record AcmeBinding
{
    public string KeyId { get; init; } = "";

    /// <summary>In base64url. It is a secret.</summary>
    public string HmacKey { get; init; } = "";
}
