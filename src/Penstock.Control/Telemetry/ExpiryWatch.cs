using System.Globalization;
using Microsoft.Extensions.Logging;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Tls;

namespace Penstock.Control.Telemetry;

/// <summary>Logs that a listener's certificate expires: 30, 7 and 1 days before, and when it has.
/// Thread-safe.</summary>
internal sealed class ExpiryWatch : IDisposable
{
    private const int FirstDays = 30;

    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);
    private static readonly int[] Days = [0, 1, 7, FirstDays];

    private readonly ProxyServer _proxy;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Lock _lock = new();
    private readonly Dictionary<CertificateInfo, int> _told = [];
    private readonly ITimer _timer;

    public ExpiryWatch(ProxyServer proxy, TimeProvider time, ILogger<ExpiryWatch> log)
    {
        (_proxy, _time, _log) = (proxy, time, log);
        _timer = time.CreateTimer(_ => Check(), null, TimeSpan.Zero, Interval);
    }

    /// <summary>The warnings about the certificates of all listeners, each once.</summary>
    public static IEnumerable<string> Warnings(ProxyServer proxy, DateTimeOffset now) =>
        proxy.Certificates().Select(one => WarningOf(one.Certificate, now)).OfType<string>().Distinct();

    /// <summary>Why a reload must not put these certificates in force: one is not valid now, and would replace one for
    /// the same name that is.</summary>
    public static string? Reject(ProxyConfig wanted, ProxyServer proxy, DateTimeOffset now)
    {
        ILookup<string, CertificateInfo> present =
            proxy.Certificates().ToLookup(static one => one.Listener, static one => one.Certificate);
        return wanted.Listeners.Where(static listener => listener.Tls is not null)
            .SelectMany(listener => listener.Tls!.Certificates.Select(static c => CertificateInfo.Of(c.Chain))
                .Where(info => !IsValid(info, now) && !present[listener.Text].Contains(info)
                    && present[listener.Text].Any(old => old.MainName == info.MainName && IsValid(old, now))))
            .Select(info => $"the new certificate of {info.MainName} is valid from {info.NotBefore:u} to "
                + $"{info.NotAfter:u}, so not now; the present one stays")
            .FirstOrDefault();
    }

    public void Dispose() => _timer.Dispose();

    /// <summary>A sentence about a certificate that expires within 30 days or has expired; null: it does not.</summary>
    private static string? WarningOf(CertificateInfo certificate, DateTimeOffset now)
    {
        TimeSpan left = certificate.NotAfter - now;
        string date = certificate.NotAfter.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        return left > TimeSpan.FromDays(FirstDays) ? null
            : left <= TimeSpan.Zero ? $"the certificate of {certificate.MainName} has expired on {date} UTC"
            : $"the certificate of {certificate.MainName} expires on {date} UTC, in {left.TotalDays:0.#} days";
    }

    private static bool IsValid(CertificateInfo certificate, DateTimeOffset now) =>
        certificate.NotBefore <= now && now < certificate.NotAfter;

    private void Check()
    {
        lock (_lock)
        {
            DateTimeOffset now = _time.GetUtcNow();
            // The keeper of certificates that Penstock gets itself tells also why one was not renewed.
            List<CertificateInfo> all = [.. _proxy.Certificates().Where(static one => !one.IsGiven)
                .Select(static one => one.Certificate).Distinct()];
            foreach (CertificateInfo gone in _told.Keys.Except(all).ToList())
            {
                _told.Remove(gone);
            }
            foreach (CertificateInfo certificate in all)
            {
                TimeSpan left = certificate.NotAfter - now;
                int days = Days.FirstOrDefault(days => left <= TimeSpan.FromDays(days), int.MaxValue);
                if (days < _told.GetValueOrDefault(certificate, int.MaxValue))
                {
                    _told[certificate] = days;
                    _log.Log(days <= 1 ? LogLevel.Error : LogLevel.Warning, Events.CertificateExpires, "{Warning}",
                        WarningOf(certificate, now));
                }
            }
        }
    }
}
