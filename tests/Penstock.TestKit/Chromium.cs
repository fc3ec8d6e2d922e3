using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>Debian's Chromium without a window. Its files, and the authorities that it trusts, are in a folder of its
/// own.</summary>
public sealed class Chromium : IDisposable
{
    public const string Program = "/usr/bin/chromium";
    private const string CertificateTool = "/usr/bin/certutil";
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("penstock-chromium-");

    public static bool IsInstalled => File.Exists(Program) && File.Exists(CertificateTool);

    /// <summary>Trusts an authority, as an administrator would make it trust that of a company.</summary>
    public async Task TrustAsync(string pem)
    {
        string file = Path.Combine(_home.FullName, "authority.pem");
        await File.WriteAllTextAsync(file, pem);
        string database = "sql:" + Directory.CreateDirectory(Path.Combine(_home.FullName, ".pki/nssdb")).FullName;
        await RunAsync(CertificateTool, "-d", database, "-N", "--empty-password");
        await RunAsync(CertificateTool, "-d", database, "-A", "-t", "C,,", "-n", "test", "-i", file);
    }

    /// <summary>Opens a page, of this machine whatever its name.</summary>
    /// <returns>The page when its scripts have run.</returns>
    public Task<string> OpenAsync(string url) => RunAsync(Program, "--headless", "--no-sandbox", "--disable-gpu",
        "--disable-background-networking", $"--user-data-dir={_home.FullName}", "--dump-dom",
        "--host-resolver-rules=MAP * 127.0.0.1", url);

    public void Dispose() => _home.Delete(recursive: true);

    private async Task<string> RunAsync(string program, params string[] words)
    {
        var start = new ProcessStartInfo(program, words)
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["HOME"] = _home.FullName;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), faults = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output
            : throw new InvalidOperationException($"{program} exits with {process.ExitCode}: {await faults}");
    }
}
