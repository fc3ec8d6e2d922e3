using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Exchanges;

/// <summary>The settings of a listener that a reload changes in place.</summary>
/// <param name="Tls">Null: clients speak plain HTTP.</param>
/// <param name="RedirectPort">Requests are answered with a redirect to HTTPS on this port; 0: they are served.</param>
/// <param name="ChallengeAnswer">See <see cref="ProxyServer.ChallengeAnswer"/>.</param>
internal sealed record ListenerSettings(ListenerConfig Config, TlsServer? Tls, int RedirectPort,
    Func<string, string?>? ChallengeAnswer = null)
{
    /// <summary>Those of a plain listener.</summary>
    public static ListenerSettings None { get; } = new(new(new IPEndPoint(IPAddress.Any, 0), ""), null, 0);

    /// <summary>The fields in which backends get parts of the client's certificate.</summary>
    public (byte[] Field, CertificatePart Part)[] Passed { get; } =
        [.. Config.Tls?.ClientAuth?.Passed.Select(static p => (Encoding.ASCII.GetBytes(p.Field), p.Part)) ?? []];

    /// <summary>The maximum length of these fields.</summary>
    public int PassedBytes => Passed.Sum(static p => p.Field.Length + ShownCertificate.MaxPartBytes + 4);

    /// <summary>The line Strict-Transport-Security (RFC 6797) of every response; empty: none.</summary>
    public byte[] SecurityField { get; } = Config.Tls is not { } tls || tls.Hsts == TimeSpan.Zero ? []
        : Encoding.ASCII.GetBytes($"Strict-Transport-Security: max-age={(long)tls.Hsts.TotalSeconds}\r\n");
}

/// <summary>One listener on one loop. Only the loop uses it.</summary>
internal sealed class ListenerPort(ListenerCounters counters, ListenerSettings settings)
{
    public ListenerCounters Counters => counters;

    /// <summary>Those for the next connections.</summary>
    public ListenerSettings Settings { get; set; } = settings;

    /// <summary>Accepts the connections.</summary>
    public required Listener Listener { get; init; }
}
