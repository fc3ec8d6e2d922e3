using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Acme;

/// <summary>Gets a certificate for every name of <c>tls.acme</c> and renews it in time. Each name has its own
/// certificate, so that a name that does not lead here yet holds up no other. One order runs at a time, so that lines
/// of the log follow each other and a CA sees no burst. The public members are thread-safe.</summary>
internal sealed partial class CertificateKeeper : IAsyncDisposable
{
    /// <summary>How often a node looks whether another one has written.</summary>
    private static readonly TimeSpan SharedPause = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause, in case the clock of the machine is set.</summary>
    private static readonly TimeSpan MaxPause = TimeSpan.FromHours(1);

    private readonly Func<AcmeConfig, IAcmeStorage> _open;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _woken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;
    private volatile AcmeConfig? _wanted;
    private bool _isNew = true;
    private DateTimeOffset _idleUntil;

    // These belong to the task, or to Start before it.
    private AcmeConfig _config = new();
    private IAcmeStorage? _storage;
    private HttpClient? _http;
    private List<KeptName> _names = [];
    private long _version = -1;

    // What others read.
    private volatile ImmutableDictionary<string, string> _answers = ImmutableDictionary<string, string>.Empty;
    private volatile IReadOnlyList<ChallengeCertificate> _challenges = [];
    private volatile IReadOnlyList<HeldCertificate> _held = [];
    private volatile IReadOnlyList<CertificateStatus> _statuses = [];

    /// <param name="config">Null: there is nothing to keep.</param>
    /// <param name="open">Opens the storage that a configuration names.</param>
    public CertificateKeeper(AcmeConfig? config, Func<AcmeConfig, IAcmeStorage> open, TimeProvider time, ILogger log) =>
        (_wanted, _open, _time, _log) = (config, open, time, log);

    /// <summary>Called when the certificates in force or those for challenges have changed, see
    /// <see cref="Certificates"/> and <see cref="Challenges"/>. Set it before <see cref="Start"/>.</summary>
    public Action? Changed { get; set; }

    /// <summary>The configuration that was applied last.</summary>
    public AcmeConfig? Config => _wanted;

    /// <summary>The certificates in force, at most one for each name.</summary>
    public IReadOnlyList<HeldCertificate> Certificates => _held;

    /// <summary>Certificates to show to those who ask for the protocol <see cref="ChallengeCertificate.Protocol"/>.
    /// </summary>
    public IReadOnlyList<ChallengeCertificate> Challenges => _challenges;

    /// <summary>One for each name of the configuration.</summary>
    public IReadOnlyList<CertificateStatus> Statuses => _statuses;

    /// <summary>When there is something to do again; a time in the past: something is being done.</summary>
    public DateTimeOffset IdleUntil
    {
        get
        {
            lock (_lock)
            {
                return _idleUntil;
            }
        }
    }

    /// <summary>What an operator should look at; null: nothing.</summary>
    public string? Warning =>
        _statuses.Select(static status => status.Warning).FirstOrDefault(static warning => warning is not null);

    /// <summary>The body of the answer to <c>GET /.well-known/acme-challenge/TOKEN</c> on port 80; null: it is no token
    /// of a challenge. Cheap.</summary>
    public string? KeyAuthorizationOf(string token) => _answers.GetValueOrDefault(token);

    /// <summary>Reads the stored certificates. Call it once, before <see cref="Start"/>.</summary>
    public void Load() => Take(isStart: true);

    /// <summary>Begins to get and renew certificates. Call it once, when the listeners can answer the CA, and before
    /// <see cref="Apply"/>.</summary>
    public void Start() => _running = Task.Run(RunAsync);

    /// <summary>Puts a configuration in force. What has failed is tried again at once.</summary>
    public void Apply(AcmeConfig? config)
    {
        lock (_lock)
        {
            (_wanted, _isNew, _idleUntil) = (config, true, default);
            _woken.TrySetResult();
        }
    }

    /// <summary>Ends everything at once. A second call does nothing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }
        await _stop.CancelAsync();
        await _running;
        _storage?.Dispose();
        _http?.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            TimeSpan pause;
            try
            {
                pause = await StepAsync();
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                _log.LogError(Events.CertificateBug, e,
                    "bug in Penstock: keeping certificates failed; Penstock retries in a minute");
                pause = RenewalTimes.FirstPause;
            }
            await WaitAsync(pause);
        }
    }

    /// <summary>Waits for the time, for <see cref="Apply"/> or for the stop.</summary>
    private async Task WaitAsync(TimeSpan pause)
    {
        try
        {
            Task waiting = _woken.Task.WaitAsync(pause, _time, _stop.Token);
            lock (_lock)
            {
                _idleUntil = _isNew ? default : _time.GetUtcNow() + pause;
            }
            await waiting;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // The loop looks what to do.
        }
    }

    /// <summary>Does the next thing.</summary>
    /// <returns>How long there is nothing more to do.</returns>
    private async Task<TimeSpan> StepAsync()
    {
        if (Take(isStart: false) is not { } storage)
        {
            return MaxPause;
        }
        Follow(storage);
        DateTimeOffset now = _time.GetUtcNow();
        if (_names.Where(name => name.NextTry <= now).MinBy(static name => name.NextTry) is { } due)
        {
            return await TryAsync(storage, due) ? TimeSpan.Zero : SharedPause;
        }
        if (_names.FirstOrDefault(name => name.Held is not null && name.AskAt <= now) is { } unasked)
        {
            await AskAsync(storage, unasked);
            return TimeSpan.Zero;
        }
        Warn(now);
        Publish();
        return _names.Select(name => Earlier(name.NextTry, name.Held is null ? null : name.AskAt) - now)
            .Append(storage.IsShared ? SharedPause : MaxPause).Min();

        static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset? other) => other < one ? other.Value : one;
    }

    /// <summary>Takes the configuration that was applied last.</summary>
    private IAcmeStorage? Take(bool isStart)
    {
        AcmeConfig? config;
        lock (_lock)
        {
            if (!_isNew)
            {
                return _storage;
            }
            (config, _isNew) = (_wanted, false);
            _woken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        _storage?.Dispose();
        _http?.Dispose();
        (_storage, _http) = config is null ? (null, null) : (_open(config), CaConnection.NewClient(config.Roots));
        _config = config ?? new();
        _names = [.. _config.Names.Select(name => _names.Find(old => old.Name == name) ?? new KeptName(name))];
        foreach (KeptName name in _names)
        {
            name.IsForeign = name.Held is { } held && !_config.Directories.Contains(held.Directory);
        }
        if (_storage is not null)
        {
            _version = -1;
            Follow(_storage);
            _names.ForEach(name => ResumeTries(_storage, name, isStart));
        }
        Publish();
        return _storage;
    }

    /// <summary>Reads what other nodes have written. If the storage fails, the node keeps what it has; the next order
    /// tells the cause.</summary>
    private void Follow(IAcmeStorage storage)
    {
        try
        {
            if (_version < 0 || (storage.IsShared && storage.Version() != _version))
            {
                long version = storage.Version();
                Load(storage);
                _version = version;
            }
        }
        catch (AcmeException e)
        {
            _log.LogDebug(Events.CertificateFailed, "cannot read stored certificates: {Cause}", e.Message);
        }
    }

    private void Warn(DateTimeOffset now)
    {
        foreach (KeptName name in _names)
        {
            if (name.NewWarning(now) is not { } warning)
            {
                continue;
            }
            string cause = name.Failure is { } failure ? $", the last cause: {failure.Cause}" : "";
            if (warning > TimeSpan.Zero)
            {
                _log.LogWarning(Events.CertificateExpires,
                    "the certificate of {Name} expires in {Days} and could not be renewed{Cause}", name.Name,
                    warning.TotalDays > 1 ? $"less than {warning.TotalDays} days" : "less than a day", cause);
            }
            else
            {
                _log.LogError(Events.CertificateExpires,
                    "the certificate of {Name} has expired and could not be renewed{Cause}", name.Name, cause);
            }
        }
    }

    /// <summary>Shows others the present state.</summary>
    private void Publish()
    {
        DateTimeOffset now = _time.GetUtcNow();
        _statuses = [.. _names.Select(name => name.StatusAt(now))];
        List<HeldCertificate> held = [.. _names.Select(static name => name.Held).OfType<HeldCertificate>()];
        var answers = _names.Select(static name => name.Challenge).OfType<StoredChallenge>()
            .ToImmutableDictionary(static challenge => challenge.Token, static challenge => challenge.KeyAuthorization);
        bool changed = !held.SequenceEqual(_held);
        _held = held;
        if (answers.Count != _answers.Count || answers.Any(one => _answers.GetValueOrDefault(one.Key) != one.Value))
        {
            changed = true;
            _answers = answers;
            _challenges = _config.Challenge != AcmeChallenge.TlsAlpn01 ? []
                : [.. _names.Where(static name => name.Challenge is not null).Select(name =>
                    ChallengeCertificate.Create(name.Name, name.Challenge!.KeyAuthorization, now))];
        }
        if (changed)
        {
            Changed?.Invoke();
        }
    }

    private void Load(IAcmeStorage storage)
    {
        AcmeItem[] items = [.. _names.SelectMany(name => _config.Directories.SelectMany(directory =>
            new[] { CertificateOf(name, directory), ChallengeOf(name, directory) }).Append(FailureOf(name)))];
        IReadOnlyDictionary<AcmeItem, string> all = storage.Read(items);
        foreach (KeptName name in _names)
        {
            HeldCertificate? best = _config.Directories.Select(directory => Certificate(name, directory))
                .OfType<HeldCertificate>().MaxBy(static held => held.NotBefore);
            bool isNewer = best is not null
                && (name.Held is null || name.IsForeign || best.NotBefore > name.Held.NotBefore);
            if (isNewer)
            {
                name.Hold(best!);
            }
            // A failure that could not be stored is known in memory only.
            name.Failure = Parsed(FailureOf(name), AcmeJson.Default.StoredFailure) ?? (isNewer ? null : name.Failure);
            name.Challenge = _config.Directories.Select(directory =>
                Parsed(ChallengeOf(name, directory), AcmeJson.Default.StoredChallenge))
                .FirstOrDefault(static challenge => challenge is not null);
        }

        HeldCertificate? Certificate(KeptName name, string directory)
        {
            if (!all.TryGetValue(CertificateOf(name, directory), out string? pem))
            {
                return null;
            }
            if (!HeldCertificate.TryRead(name.Name, directory, pem, out HeldCertificate? held, out string fault)
                && _version < 0) // once
            {
                _log.LogWarning(Events.CertificateFailed, "{Item} in {Storage} is ignored: it {Fault}",
                    CertificateOf(name, directory).Name, storage.Name, fault);
            }
            return held;
        }

        T? Parsed<T>(AcmeItem item, JsonTypeInfo<T> type)
            where T : class
        {
            try
            {
                return all.TryGetValue(item, out string? json) ? JsonSerializer.Deserialize(json, type) : null;
            }
            catch (JsonException)
            {
                return null; // what it says matters less than a certificate
            }
        }
    }

    private static AcmeItem CertificateOf(KeptName name, string directory) => new(directory, $"{name.Name}.pem");

    private static AcmeItem ChallengeOf(KeptName name, string directory) =>
        new(directory, $"{name.Name}.challenge.json");

    /// <summary>Below the first CA, so that another first CA means another try.</summary>
    private AcmeItem FailureOf(KeptName name) => new(_config.Directories[0], $"{name.Name}.failure.json");
}
