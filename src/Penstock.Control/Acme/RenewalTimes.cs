using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Penstock.Control.Acme;

/// <summary>When a certificate is renewed, when a failed try is repeated, and when an operator is warned. Pure.
/// </summary>
internal static class RenewalTimes
{
    /// <summary>The first pause after a failed try; each further one is twice as long.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMinutes(1);

    public static readonly TimeSpan MaxPause = TimeSpan.FromHours(6);

    /// <summary>No CA makes Penstock wait longer, so that a new setting at the CA takes effect within a day.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromDays(1);

    /// <summary>How long before the end the log warns, if the renewal is overdue; the last one: it has expired.
    /// </summary>
    public static readonly TimeSpan[] Warnings =
        [TimeSpan.FromDays(30), TimeSpan.FromDays(7), TimeSpan.FromDays(1), TimeSpan.Zero];

    private const double RenewedShare = 2.0 / 3;
    private const double JitterShare = 0.05;
    private const double MaxPauseJitter = 0.2;

    /// <summary>No suggestion of a CA postpones a renewal beyond this share of the life.</summary>
    private const double MaxShare = 0.9;

    /// <summary>No suggestion of a CA renews a certificate that is younger than this, or a twentieth of its life:
    /// otherwise a CA that always says "now" would be asked for one certificate after another.</summary>
    private static readonly TimeSpan MinAge = TimeSpan.FromDays(1);

    /// <summary>At two thirds of the life, or up to a twentieth of the life before, so that certificates from the same
    /// day are not all renewed on the same day.</summary>
    /// <param name="suggested">The CA's suggestion, see <see cref="Within"/>.</param>
    public static DateTimeOffset DueOf(HeldCertificate held, DateTimeOffset? suggested)
    {
        TimeSpan life = held.NotAfter - held.NotBefore;
        TimeSpan age = suggested is { } time
            ? TimeSpan.FromTicks(Math.Clamp((time - held.NotBefore).Ticks,
                Math.Min(MinAge.Ticks, (long)(life.Ticks * JitterShare)), (long)(life.Ticks * MaxShare)))
            : life * (RenewedShare - (JitterShare * held.Spread));
        return held.NotBefore + age;
    }

    /// <summary>A time in the window that the CA suggests (RFC 9773 §4.2).</summary>
    public static DateTimeOffset Within(RenewalWindow window, double spread) =>
        window.Start + ((window.End - window.Start) * spread);

    /// <param name="tries">How many tries have failed in a row.</param>
    /// <param name="random">From 0 to 1.</param>
    public static TimeSpan PauseAfter(int tries, AcmeException cause, double random)
    {
        double doublings = Math.Min(tries - 1, Math.Log2(MaxPause / FirstPause));
        TimeSpan pause = cause.NeedsOperator ? MaxPause : FirstPause * Math.Pow(2, doublings);
        pause *= 1 + (MaxPauseJitter * ((2 * random) - 1));
        return WaitOf(cause) is { } wait && wait > pause ? wait : pause;
    }

    /// <summary>How long the CA wants to be left alone; null: it does not say.</summary>
    public static TimeSpan? WaitOf(AcmeException cause) => cause.RetryAfter > MaxWait ? MaxWait : cause.RetryAfter;

    /// <summary>The warning that holds now; null: none.</summary>
    public static TimeSpan? WarningOf(HeldCertificate held, DateTimeOffset due, DateTimeOffset now)
    {
        TimeSpan left = held.NotAfter - now;
        return now < due || left > Warnings[0] ? null : Warnings.Last(warning => left <= warning);
    }

    /// <summary>A number from 0 to 1 that depends on these bytes only.</summary>
    public static double SpreadOf(ReadOnlySpan<byte> certificate) =>
        (double)BinaryPrimitives.ReadUInt32LittleEndian(SHA256.HashData(certificate)) / uint.MaxValue;

    /// <summary>See <see cref="HeldCertificate.Id"/>.</summary>
    public static string? IdOf(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault()?.KeyIdentifier
            is { } issuer ? IdOf(issuer.Span, certificate.SerialNumberBytes.Span) : null;

    /// <param name="serial">The number, with its highest byte first.</param>
    public static string IdOf(ReadOnlySpan<byte> issuerKey, ReadOnlySpan<byte> serial)
    {
        // As DER encodes an integer: a zero before a byte whose highest bit would make it negative.
        byte[] number = serial is [>= 0x80, ..] ? [0, .. serial] : serial.ToArray();
        return $"{Base64Url.EncodeToString(issuerKey)}.{Base64Url.EncodeToString(number)}";
    }
}
