using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>The real program, started like an operator starts it.</summary>
public sealed class PenstockProcess : IAsyncDisposable
{
    /// <summary>The program of the same build as the tests.</summary>
    public static readonly string Program = Path.Combine(AppContext.BaseDirectory, "penstock.dll");
    private const int FirstFreePort = 10_000;
    private const int LastFreePort = 32_000;

    private readonly Process _process;

    private PenstockProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it wrote to stdout and stderr, line by line.</summary>
    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>Most memory it ever had resident, in bytes.</summary>
    public long PeakMemoryBytes => StatusBytes("VmHWM:");

    /// <summary>Memory resident now, in bytes.</summary>
    public long MemoryBytes => StatusBytes("VmRSS:");

    /// <summary>Descriptors open now.</summary>
    public int Descriptors => Directory.GetFiles($"/proc/{Id}/fd").Length;

    /// <summary>Processor time used so far, user and system.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public static PenstockProcess Start(params string[] arguments) => Start(null, arguments);

    public static PenstockProcess Start(string? folder, params string[] arguments) =>
        StartProgram(Program, folder, arguments);

    /// <param name="program">A native program, or a library that <c>dotnet</c> runs.</param>
    public static PenstockProcess StartProgram(string program, string? folder, params string[] arguments) =>
        Start(program.EndsWith(".dll", StringComparison.Ordinal)
            ? new ProcessStartInfo("dotnet", [program, .. arguments])
            : new ProcessStartInfo(program, arguments), folder);

    /// <summary>Starts it and waits for its line that says that it has started.</summary>
    public static Task<PenstockProcess> StartedProgramAsync(
        string program, string? folder, params string[] arguments) =>
        StartedAsync(StartProgram(program, folder, arguments));

    /// <summary>Starts it with few descriptors and waits for its line that says that it has started.</summary>
    public static Task<PenstockProcess> StartedWithAsync(int descriptors, string? folder, params string[] arguments) =>
        StartedBehindAsync($"ulimit -n {descriptors}; exec", folder, arguments);

    /// <summary>Starts it in a shell after other commands, and waits for its line that says that it has started.
    /// </summary>
    /// <param name="words">The text before its command line; it ends with a word such as <c>exec</c>.</param>
    public static Task<PenstockProcess> StartedBehindAsync(string words, string? folder, params string[] arguments) =>
        StartedAsync(Start(new ProcessStartInfo("bash",
            ["-c", $"{words} dotnet '{Program}' {string.Join(' ', arguments)}"]), folder));

    /// <summary>A command line of bash, in which the program is <c>dotnet '…/penstock.dll'</c>.</summary>
    public static PenstockProcess StartShell(string words) => Start(new ProcessStartInfo("bash", ["-c", words]), null);

    private static PenstockProcess Start(ProcessStartInfo start, string? folder)
    {
        start.UseShellExecute = false;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.WorkingDirectory = folder ?? Path.GetTempPath();
        foreach (string name in new[] { "PENSTOCK_CONFIG", "CONFIG_PATH", "PENSTOCK_ADMIN", "PENSTOCK_TOKEN" })
        {
            start.Environment.Remove(name);
        }
        var process = new PenstockProcess(Process.Start(start)!);
        process._process.OutputDataReceived += (_, e) => process.Keep(e.Data);
        process._process.ErrorDataReceived += (_, e) => process.Keep(e.Data);
        process._process.BeginOutputReadLine();
        process._process.BeginErrorReadLine();
        return process;
    }

    /// <summary>Starts it and waits for its line that says that it has started.</summary>
    public static Task<PenstockProcess> StartedAsync(string? folder, params string[] arguments) =>
        StartedProgramAsync(Program, folder, arguments);

    private static async Task<PenstockProcess> StartedAsync(PenstockProcess process)
    {
        await Eventually.TrueAsync(() => process.HasExited || process.Lines.Any(static l =>
            l.Contains("\"event\":\"started\"", StringComparison.Ordinal)), "the program is started");
        return process.HasExited
            ? throw new InvalidOperationException("it ended at once: " + string.Join('\n', process.Lines)) : process;
    }

    /// <summary>Sends a signal: TERM, INT, KILL, STOP, CONT …</summary>
    public void Signal(string name) => Signals.Send(Id, name);

    public async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
        return _process.ExitCode;
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>A free port, for programs that get their port on the command line. It lies below the range from which
    /// the kernel assigns ports (32768 and up by default), so that it stays free until the program has it, and while
    /// the program restarts.</summary>
    public static int FreePort()
    {
        while (true)
        {
            int port = Random.Shared.Next(FirstFreePort, LastFreePort + 1);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // taken: try another
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }
        _process.Dispose();
    }

    private long StatusBytes(string name)
    {
        string line = File.ReadLines($"/proc/{Id}/status").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(name.Length, line.Length - name.Length - " kB".Length),
            NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture) * 1024;
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            Lines.Enqueue(line);
        }
    }
}
