using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Penstock.Proxy.Configuration;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>TLS of one listener: a context for each set of certificates, found by the server name that a client asks
/// for. Immutable; sessions that began with an older one go on with it.</summary>
internal sealed unsafe class TlsServer
{
    private readonly Dictionary<string, TlsContext> _byName = new(StringComparer.OrdinalIgnoreCase);

    /// <exception cref="TlsException">A certificate or a setting cannot be used.</exception>
    public TlsServer(ListenerTlsConfig config, TicketKeys tickets)
    {
        Config = config;
        Tickets = tickets;
        Certificates = [.. config.Certificates.Select(static c => CertificateInfo.Of(c.Chain))];
        var names = config.Certificates.Zip(Certificates, static (c, info) => (Certificate: c, info.Names)).ToList();
        Dictionary<string, TlsContext> bySet = [];
        foreach (string name in names.SelectMany(static one => one.Names).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            List<int> set = [.. Enumerable.Range(0, names.Count)
                .Where(i => names[i].Names.Contains(name, StringComparer.OrdinalIgnoreCase))];
            string key = string.Join(',', set);
            if (!bySet.TryGetValue(key, out TlsContext? context))
            {
                context = TlsContext.ForClients(this, config, set.Select(i => names[i].Certificate));
                bySet.Add(key, context);
            }
            _byName[name] = context;
        }
        Default = names[0].Names.Count > 0 ? _byName[names[0].Names[0]]
            : TlsContext.ForClients(this, config, [names[0].Certificate]);
    }

    public ListenerTlsConfig Config { get; }

    /// <summary>What is known about <see cref="ListenerTlsConfig.Certificates"/>, in their order.</summary>
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
            TlsContext began = TlsSession.Of(ssl).Context;
            TlsContext found = began.Server!.Find(name);
            if (found != began)
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

    /// <summary>Chooses the protocol (ALPN, RFC 7301): <c>http/1.1</c>. A client that offers only others is
    /// rejected.</summary>
    [UnmanagedCallersOnly]
    internal static int OnProtocols(nint ssl, byte** chosen, byte* chosenLength, byte* offered, uint length,
        nint argument)
    {
        ReadOnlySpan<byte> wanted = "http/1.1"u8;
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
