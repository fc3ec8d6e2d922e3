using System.Text.Json;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Acme;

/// <content>Orders, and what a CA suggests about renewals.</content>
internal sealed partial class CertificateKeeper
{
    /// <summary>How long an order waits until the other nodes can answer the CA too: they look every
    /// <see cref="SharedPause"/>.</summary>
    private static readonly TimeSpan SharingPause = TimeSpan.FromSeconds(2.5);

    private static readonly TimeSpan AskAgain = TimeSpan.FromHours(6);
    private static readonly TimeSpan MinAskAgain = TimeSpan.FromMinutes(1);

    /// <summary>Tries to get a certificate.</summary>
    /// <returns>False: another node gets certificates now.</returns>
    private async Task<bool> TryAsync(IAcmeStorage storage, KeptName name)
    {
        StoredFailure? before = name.Failure;
        bool leads = false;
        try
        {
            leads = storage.TryLead();
            if (!leads)
            {
                return false;
            }
            Load(storage); // another process may have got it, or failed, a moment ago
            if (name.NextTry > _time.GetUtcNow())
            {
                return true;
            }
            before = name.Failure;
            // Before the try, so that neither a crash in the middle nor a full disk leads to one try after another.
            storage.Write(FailureOf(name), JsonSerializer.Serialize(
                After(before, new AcmeException("the last try did not end")), AcmeJson.Default.StoredFailure));
            await ObtainAsync(storage, name, before?.Tries ?? 0);
        }
        catch (AcmeException e)
        {
            Fail(storage, name, before, e);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            Keep(storage, name, before); // this try does not count
            throw;
        }
        finally
        {
            if (leads)
            {
                storage.EndLead();
            }
            Publish();
        }
        return true;
    }

    /// <summary>Asks one CA after another.</summary>
    private async Task ObtainAsync(IAcmeStorage storage, KeptName name, int failedTries)
    {
        List<AcmeException> causes = [];
        foreach (string directory in _config.Directories)
        {
            HeldCertificate held;
            try
            {
                held = await ClientOf(directory, storage).OrderAsync(name.Name,
                    name.Held?.Directory == directory ? name.Held.Id : null,
                    (challenge, stop) => ShowAsync(storage, name, directory, challenge, stop), _stop.Token);
            }
            catch (AcmeException e)
            {
                causes.Add(e);
                continue;
            }
            finally
            {
                Hide(storage, name, directory);
            }
            name.Hold(held); // first, because the storage may fail
            storage.Write(CertificateOf(name, directory), held.Pem);
            storage.Write(FailureOf(name), null);
            name.Failure = null;
            _log.Log(LogLevel.Information, failedTries > 0 ? Events.CertificateRecovered : Events.CertificateObtained,
                "got a certificate for {Name} from {Directory}, valid until {NotAfter:u}{After}", name.Name, directory,
                held.NotAfter, failedTries switch
                {
                    0 => "", 1 => ", after a failed try", _ => $", after {failedTries} failed tries",
                });
            return;
        }
        throw AcmeException.Of(causes);
    }

    private AcmeClient ClientOf(string directory, IAcmeStorage storage) =>
        new(new CaConnection(_http!, directory, _time), storage, _config, _time);

    /// <summary>Makes the answer to a challenge visible, at all nodes.</summary>
    private async Task ShowAsync(IAcmeStorage storage, KeptName name, string directory, StoredChallenge challenge,
        CancellationToken stop)
    {
        name.Challenge = challenge;
        Publish();
        if (storage.IsShared)
        {
            storage.Write(ChallengeOf(name, directory),
                JsonSerializer.Serialize(challenge, AcmeJson.Default.StoredChallenge));
            if (storage.Nodes() > 1)
            {
                await Task.Delay(SharingPause, _time, stop);
            }
        }
    }

    private void Hide(IAcmeStorage storage, KeptName name, string directory)
    {
        if (name.Challenge is null)
        {
            return;
        }
        name.Challenge = null;
        try
        {
            if (storage.IsShared)
            {
                storage.Write(ChallengeOf(name, directory), null);
            }
        }
        catch (AcmeException)
        {
            // The next order overwrites it; until then nobody asks for it.
        }
    }

    private void Fail(IAcmeStorage storage, KeptName name, StoredFailure? before, AcmeException cause)
    {
        name.Failure = After(before, cause);
        Keep(storage, name, name.Failure);
        _log.LogWarning(Events.CertificateFailed, "no {Kind} for {Name}: {Cause}. The next try is at {Next:u}{Old}",
            name.Held is null ? "certificate" : "new certificate", name.Name, cause.Message, name.Failure.NextTry,
            name.Held is { } held ? $"; the old certificate stays, valid until {held.NotAfter:u}" : "");
    }

    /// <summary>Counts a failed try and sets the time of the next one.</summary>
    private StoredFailure After(StoredFailure? before, AcmeException cause)
    {
        int tries = (before?.Tries ?? 0) + 1;
        DateTimeOffset now = _time.GetUtcNow();
        return new(tries, now + RenewalTimes.PauseAfter(tries, cause, Random.Shared.NextDouble()), cause.Message)
        {
            CaWaitsUntil = now + RenewalTimes.WaitOf(cause),
        };
    }

    /// <summary>After a failed try: a start waits for the time of the next one, so that a Penstock that starts again
    /// and again does not bother the CA; a reload tries at once, unless the CA itself has named a time.</summary>
    private void ResumeTries(IAcmeStorage storage, KeptName name, bool isStart)
    {
        if (name.Failure is not { } failure)
        {
            return;
        }
        DateTimeOffset now = _time.GetUtcNow();
        if (isStart && failure.NextTry > now)
        {
            _log.LogWarning(Events.CertificateFailed, "the last try to get a certificate for {Name} failed: {Cause}. "
                + "The next try is at {Next:u}, or with a reload", name.Name, failure.Cause, failure.NextTry);
        }
        else if (!isStart)
        {
            name.Failure = failure with { NextTry = failure.CaWaitsUntil > now ? failure.CaWaitsUntil.Value : now };
            Keep(storage, name, name.Failure);
        }
    }

    /// <summary>Stores which try has failed, if the storage works.</summary>
    private void Keep(IAcmeStorage storage, KeptName name, StoredFailure? failure)
    {
        try
        {
            storage.Write(FailureOf(name),
                failure is null ? null : JsonSerializer.Serialize(failure, AcmeJson.Default.StoredFailure));
        }
        catch (AcmeException)
        {
            // The next start tries a little later or earlier then.
        }
    }

    /// <summary>Asks the CA when it wants the certificate to be renewed (RFC 9773). Without an answer the time of
    /// before holds.</summary>
    private async Task AskAsync(IAcmeStorage storage, KeptName name)
    {
        DateTimeOffset now = _time.GetUtcNow();
        name.AskAt = now + AskAgain;
        HeldCertificate held = name.Held!;
        if (held.Id is null)
        {
            return;
        }
        try
        {
            if (await ClientOf(held.Directory, storage).SuggestionAsync(held.Id, _stop.Token) is var (window, askAfter))
            {
                DateTimeOffset suggested = RenewalTimes.Within(window, held.Spread);
                if (suggested <= now && name.Suggested != suggested)
                {
                    _log.LogInformation(Events.CertificateSuggested,
                        "{Directory} asks to renew the certificate of {Name} now", held.Directory, name.Name);
                }
                name.Suggested = suggested;
                TimeSpan pause = askAfter ?? AskAgain;
                name.AskAt = now + (pause < MinAskAgain ? MinAskAgain
                    : pause > RenewalTimes.MaxWait ? RenewalTimes.MaxWait : pause);
            }
        }
        catch (AcmeException e)
        {
            _log.LogDebug(Events.CertificateSuggested, "no suggestion when to renew the certificate of {Name}: {Cause}",
                name.Name, e.Message);
        }
    }
}
