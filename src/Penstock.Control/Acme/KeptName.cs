namespace Penstock.Control.Acme;

/// <summary>Where the certificate of a name stands.</summary>
internal enum CertificateState
{
    /// <summary>There is none yet, and no try has failed.</summary>
    Pending,

    /// <summary>There is none, because tries have failed.</summary>
    Missing,

    Valid,

    /// <summary>It is valid, but the last try to renew it has failed.</summary>
    RenewalFails,

    Expired,
}

/// <summary>The certificate of one name, for the admin API.</summary>
/// <param name="Directory">The URL of the CA that it is from; null: there is none.</param>
/// <param name="NextTry">When Penstock asks a CA next.</param>
/// <param name="LastError">Why the last try failed; null: it did not.</param>
internal sealed record CertificateStatus(string Name, CertificateState State, string? Directory,
    DateTimeOffset? NotAfter, DateTimeOffset NextTry, string? LastError)
{
    /// <summary>A sentence for the operator; null: nothing is wrong.</summary>
    public string? Warning => State switch
    {
        CertificateState.Missing => $"there is no certificate for {Name}: {LastError}",
        CertificateState.RenewalFails =>
            $"the certificate of {Name} is valid until {NotAfter:u} and cannot be renewed: {LastError}",
        CertificateState.Expired => $"the certificate of {Name} has expired"
            + (LastError is null ? "" : $" and cannot be renewed: {LastError}"),
        _ => null,
    };
}

/// <summary>A name of the configuration, its certificate and its tries. It belongs to the task of
/// <see cref="CertificateKeeper"/>.</summary>
internal sealed class KeptName(string name)
{
    private TimeSpan? _warned;

    public string Name => name;

    public HeldCertificate? Held { get; private set; }

    /// <summary>The certificate is from a CA that a reload has removed: it stays in force until there is another one.
    /// </summary>
    public bool IsForeign { get; set; }

    public StoredFailure? Failure { get; set; }

    public StoredChallenge? Challenge { get; set; }

    /// <summary>When the CA suggests to renew; null: it does not say.</summary>
    public DateTimeOffset? Suggested { get; set; }

    /// <summary>When to ask the CA for its suggestion.</summary>
    public DateTimeOffset AskAt { get; set; }

    /// <summary>When to try to get a certificate; a failed try postpones it.</summary>
    public DateTimeOffset NextTry => Failure?.NextTry ?? Due;

    private DateTimeOffset Due =>
        Held is null || IsForeign ? DateTimeOffset.MinValue : RenewalTimes.DueOf(Held, Suggested);

    public void Hold(HeldCertificate held) =>
        (Held, IsForeign, Suggested, AskAt, _warned) = (held, false, null, DateTimeOffset.MinValue, null);

    /// <summary>A warning that has not been given for this certificate; null: none.</summary>
    public TimeSpan? NewWarning(DateTimeOffset now)
    {
        TimeSpan? warning = Held is null ? null : RenewalTimes.WarningOf(Held, Due, now);
        if (warning is null || warning >= _warned)
        {
            return null;
        }
        return _warned = warning;
    }

    public CertificateStatus StatusAt(DateTimeOffset now) => new(name,
        Held is null ? (Failure is null ? CertificateState.Pending : CertificateState.Missing)
            : Held.NotAfter <= now ? CertificateState.Expired
            : Failure is null ? CertificateState.Valid : CertificateState.RenewalFails,
        Held?.Directory, Held?.NotAfter, NextTry < now ? now : NextTry, Failure?.Cause);
}
