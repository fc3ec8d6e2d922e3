using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>A Node.js script that can load Debian's Node packages; the test and the script exchange lines.</summary>
public sealed class NodeScript : IAsyncDisposable
{
    private const string Packages = "/usr/share/nodejs";
    private readonly Process _process;

    private NodeScript(Process process) => _process = process;

    /// <summary>Node and its package <c>ws</c> are installed.</summary>
    public static bool HasWebSockets => Directory.Exists(Path.Combine(Packages, "ws"))
        && (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(static p => File.Exists($"{p}/node"));

    /// <param name="arguments">Seen from <c>process.argv[1]</c> on.</param>
    public static NodeScript Start(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo("node", ["-e", script, .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["NODE_PATH"] = Packages;
        return new NodeScript(Process.Start(start)!);
    }

    public async Task<string?> ReadLineAsync() =>
        await _process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20));

    public async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
