using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy;

/// <content>TLS of the listeners.</content>
public sealed partial class ProxyServer
{
    /// <summary>The length of a key for <see cref="UseTicketKeys"/>, in bytes.</summary>
    public const int TicketKeyBytes = TicketKeys.KeyBytes;

    private readonly TicketKeys _ticketKeys = new();
    private GivenCertificates _given = GivenCertificates.None;

    /// <summary>Returns the text with which a request for <c>/.well-known/acme-challenge/TOKEN</c> is answered
    /// (RFC 8555 §8.3), by the token; null: the request goes its usual way. Called on loops. Set it before
    /// <see cref="UseCertificates"/> and <see cref="Start"/>.</summary>
    public Func<string, string?>? ChallengeAnswer { get; set; }

    /// <summary>Uses these keys for the tickets of TLS sessions: the first for new ones, all to accept them.</summary>
    public void UseTicketKeys(IReadOnlyList<byte[]> keys) => _ticketKeys.Use(keys);

    /// <summary>Uses a new random key for the tickets of TLS sessions. The last two still open tickets.</summary>
    public void RotateTicketKeys() => _ticketKeys.Rotate();

    /// <summary>Uses these certificates on every listener with TLS, besides those of its configuration.</summary>
    /// <param name="challenges">Certificates for those who ask for the protocol <c>acme-tls/1</c> (RFC 8737), by
    /// name.</param>
    /// <exception cref="ProxyStartException">A certificate cannot be used; nothing has changed.</exception>
    public void UseCertificates(IReadOnlyList<CertificateConfig> certificates,
        IReadOnlyList<(string Name, CertificateConfig Certificate)> challenges)
    {
        lock (_applying)
        {
            GivenCertificates before = _given;
            _given = new(certificates, challenges);
            try
            {
                if (_workers.Count > 0 && !_stopping)
                {
                    Apply(Config);
                }
                else
                {
                    _snapshot = new Snapshot(Config, Limiter, _topology.Upstreams, SettingsOf(Config), _routeNumbers);
                }
            }
            catch
            {
                _given = before;
                throw;
            }
        }
    }

    /// <summary>The certificates in force, with the listeners that use them, and whether they are those of
    /// <see cref="UseCertificates"/>.</summary>
    public IReadOnlyList<(string Listener, CertificateInfo Certificate, bool IsGiven)> Certificates() =>
        [.. _snapshot.Listeners.SelectMany(static l => l.Value.Tls is not { } tls ? []
            : tls.Certificates.Select((info, i) => (l.Key, info, i >= tls.Config.Certificates.Count)))];

    /// <summary>The settings of all listeners. Those whose TLS has not changed keep their contexts.</summary>
    private Dictionary<string, ListenerSettings> SettingsOf(ProxyConfig config)
    {
        Dictionary<string, ListenerSettings> all = [];
        foreach (ListenerConfig listener in config.Listeners)
        {
            TlsServer? now = _snapshot?.Listeners.GetValueOrDefault(listener.Text)?.Tls;
            try
            {
                TlsServer? tls = listener.Tls is not { } wanted ? null
                    : now?.Config == wanted && now.Given == _given ? now : new TlsServer(wanted, _given, _ticketKeys);
                all[listener.Text] = new(listener, tls, config.RedirectPortOf(listener), ChallengeAnswer);
            }
            catch (Exception e) when (e is TlsException or DllNotFoundException or EntryPointNotFoundException)
            {
                throw new ProxyStartException($"listener {listener.Text}: "
                    + (e is TlsException ? e.Message : $"TLS needs OpenSSL 3, the package libssl3: {e.Message}"), e);
            }
        }
        return all;
    }
}
