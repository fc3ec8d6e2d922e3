using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Penstock.Proxy.Configuration;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>Certificates that listeners use besides those of their configuration.</summary>
/// <param name="Certificates">Used on every listener.</param>
/// <param name="Challenges">By name, for those who ask for the protocol <c>acme-tls/1</c> (RFC 8737).</param>
internal sealed record GivenCertificates(IReadOnlyList<CertificateConfig> Certificates,
    IReadOnlyList<(string Name, CertificateConfig Certificate)> Challenges)
{
    public static GivenCertificates None { get; } = new([], []);
}

/// <summary>TLS of one listener: a context for each set of certificates, found by the server name that a client asks
/// for. Immutable; sessions that began with an older one go on with it.</summary>
internal sealed unsafe class TlsServer
{
    private readonly Dictionary<string, TlsContext> _byName = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, TlsContext> _challenges = new(StringComparer.OrdinalIgnoreCase);

    /// <exception cref="TlsException">A certificate or a setting cannot be used.</exception>
    public TlsServer(ListenerTlsConfig config, GivenCertificates given, TicketKeys tickets)
    {
        (Config, Given, Tickets) = (config, given, tickets);
        List<(CertificateConfig Certificate, CertificateInfo Info)> all =
            [.. config.Certificates.Concat(given.Certificates).Select(static c => (c, CertificateInfo.Of(c.Chain)))];
        Certificates = [.. all.Select(static one => one.Info)];
        Dictionary<string, TlsContext> bySet = [];
        foreach (string name in Certificates.SelectMany(static info => info.Names)
            .Distinct(StringComparer.OrdinalIgnoreCase))
        {
            List<int> set = [.. Enumerable.Range(0, all.Count)
                .Where(i => all[i].Info.Names.Contains(name, StringComparer.OrdinalIgnoreCase))];
            string key = string.Join(',', set);
            if (!bySet.TryGetValue(key, out TlsContext? context))
            {
                context = TlsContext.ForClients(this, config, set.Select(i => all[i].Certificate));
                bySet.Add(key, context);
            }
            _byName[name] = context;
        }
        foreach ((string name, CertificateConfig certificate) in given.Challenges)
        {
            _challenges[name] = TlsContext.ForClients(this, config with { ClientAuth = null }, [certificate]);
        }
        // Without a certificate, as long as the first one has not come, handshakes fail.
        Default = all is [{ Info.Names: [var first, ..] }, ..] ? _byName[first]
            : TlsContext.ForClients(this, config, all.Take(1).Select(static one => one.Certificate));
    }

    public ListenerTlsConfig Config { get; }

    public GivenCertificates Given { get; }

    /// <summary>What is known about <see cref="ListenerTlsConfig.Certificates"/>, in their order, and those that were
    /// given.</summary>
    public IReadOnlyList<CertificateInfo> Certificates { get; }

    public TicketKeys Tickets { get; }

    /// <summary>The context for a client that names no server, or one that no certificate has.</summary>
    public TlsContext Default { get; }

    /// <summary>The context for a server name: exact, else by a wildcard for the first label (RFC 6125 §6.4.3), else
    /// the default.</summary>
    public TlsContext Find(string name)
    {
        if (_byName.TryGetValue(name, out TlsContext? exact))
        {
            return exact;
        }
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && _byName.TryGetValue(string.Concat("*", name.AsSpan(dot)), out TlsContext? wildcard)
            ? wildcard : Default;
    }

    /// <summary>Chooses the certificates for the server name of a ClientHello (RFC 6066 §3).</summary>
    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    internal static int OnServerName(nint ssl, int* alert, nint argument)
    {
        try
        {
            string name = TlsSession.Utf8(SSL_get_servername(ssl, 0));
            if (name.Length == 0)
            {
                return NoAcknowledgement;
            }
            TlsSession session = TlsSession.Of(ssl);
            TlsContext found = session.Context.Server!.Find(name);
            if (found != session.Context && !session.IsChallenge)
            {
                _ = SSL_set_SSL_CTX(ssl, found);
            }
            return ServerNameOk;
        }
        catch (Exception)
        {
            return AlertFatal;
        }
    }

    /// <summary>Finds a ClientHello of a certificate authority that checks a name: one that asks for the protocol
    /// <c>acme-tls/1</c> (RFC 8737). It gets the certificate of the challenge.</summary>
    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    internal static int OnClientHello(nint ssl, int* alert, nint argument)
    {
        try
        {
            TlsSession session = TlsSession.Of(ssl);
            byte* protocols;
            byte* names;
            nuint length;
            nuint namesLength;
            if (SSL_client_hello_get0_ext(ssl, ExtensionProtocols, &protocols, &length) == 1
                && new ReadOnlySpan<byte>(protocols, (int)length).IndexOf("\u000aacme-tls/1"u8) >= 0
                && SSL_client_hello_get0_ext(ssl, ExtensionServerName, &names, &namesLength) == 1
                && NameOf(new ReadOnlySpan<byte>(names, (int)namesLength)) is { } name
                && session.Context.Server!._challenges.TryGetValue(name, out TlsContext? context))
            {
                session.IsChallenge = true;
                _ = SSL_set_SSL_CTX(ssl, context);
                SSL_set_verify(ssl, VerifyNone, 0);
            }
        }
        catch (Exception)
        {
            // An ordinary handshake follows.
        }
        return ClientHelloSuccess;
    }

    /// <summary>The host name of the extension server_name (RFC 6066 §3); null: it has none.</summary>
    private static string? NameOf(ReadOnlySpan<byte> extension)
    {
        const int Head = 5; // the length of the list, the kind of name, the length of the name
        if (extension.Length <= Head || extension[2] != 0)
        {
            return null;
        }
        int length = (extension[3] << 8) | extension[4];
        return length <= extension.Length - Head
            ? System.Text.Encoding.ASCII.GetString(extension.Slice(Head, length)) : null;
    }

    /// <summary>Chooses the protocol (ALPN, RFC 7301): <c>http/1.1</c>. A client that offers only others is
    /// rejected.</summary>
    [UnmanagedCallersOnly]
    internal static int OnProtocols(nint ssl, byte** chosen, byte* chosenLength, byte* offered, uint length,
        nint argument)
    {
        ReadOnlySpan<byte> wanted = TlsSession.Of(ssl).IsChallenge ? "acme-tls/1"u8 : "http/1.1"u8;
        for (uint i = 0; i < length && i + 1 + offered[i] <= length; i += 1u + offered[i])
        {
            if (new ReadOnlySpan<byte>(offered + i + 1, offered[i]).SequenceEqual(wanted))
            {
                *chosen = offered + i + 1;
                *chosenLength = offered[i];
                return ServerNameOk;
            }
        }
        return AlertFatal;
    }
}
