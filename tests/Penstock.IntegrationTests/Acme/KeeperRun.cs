using Microsoft.Extensions.Logging;
using Penstock.Control.Acme;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>A keeper of certificates on the clock of the test, with files in a folder of its own.</summary>
internal sealed class KeeperRun : IAsyncDisposable
{
    private readonly string _folder;
    private readonly bool _ownsFolder;

    private KeeperRun(ManualTime time, AcmeConfig config, string? folder)
    {
        _ownsFolder = folder is null;
        _folder = folder ?? Directory.CreateTempSubdirectory("penstock-test-").FullName;
        Time = time;
        Keeper = new(config, acme => new AcmeFiles(acme.Storage.Length > 0 ? acme.Storage : _folder), time,
            Log.Factory.CreateLogger<CertificateKeeper>());
    }

    public ManualTime Time { get; }

    public CertificateKeeper Keeper { get; }

    public RecordedLog Log { get; } = new();

    public string Folder => _folder;

    public HeldCertificate? Held => Keeper.Certificates.Count > 0 ? Keeper.Certificates[0] : null;

    public CertificateStatus Status => Keeper.Statuses[0];

    public static KeeperRun Start(ManualTime time, AcmeConfig config, string? folder = null)
    {
        var run = new KeeperRun(time, config, folder);
        run.Keeper.Load();
        run.Keeper.Start();
        return run;
    }

    public static AcmeConfig Config(params string[] directories) => new()
    {
        Names = ["a.example"], Directories = [.. directories], Email = "ops@a.example",
    };

    /// <summary>Lines of this event.</summary>
    public string[] Lines(string containing) =>
        [.. Log.Lines.Where(line => line.Contains(containing, StringComparison.Ordinal))];

    /// <summary>Waits until everything that is due has been tried.</summary>
    public Task DoneAsync() => Eventually.TrueAsync(
        () => Keeper.IdleUntil > Time.GetUtcNow(), "all that is due has been tried");

    /// <summary>Lets time pass in small steps, so that everything happens at its time.</summary>
    public async Task PassAsync(TimeSpan time, TimeSpan step)
    {
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += step)
        {
            Time.Advance(step);
            await DoneAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Keeper.DisposeAsync();
        if (_ownsFolder)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }
}
