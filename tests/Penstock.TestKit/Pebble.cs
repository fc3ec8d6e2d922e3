using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;

namespace Penstock.TestKit;

/// <summary>Let's Encrypt's test CA on free ports. Its own DNS server sends every name to 127.0.0.1.</summary>
public sealed class Pebble : IAsyncDisposable
{
    public const string KeyId = "kid-1";

    /// <summary>In base64url.</summary>
    public const string HmacKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

    private const string Program = "/usr/bin/pebble";

    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-pebble-").FullName;
    private readonly string _port = PortText();
    private readonly Dictionary<string, string> _environment;
    private Process? _dns;
    private Process? _process;
    private string _dnsAddress = "";

    private Pebble(Dictionary<string, string> environment) => _environment = environment;

    public static bool IsInstalled => File.Exists(Program);

    public string DirectoryUrl => $"https://127.0.0.1:{_port}/dir";

    /// <summary>Where it asks for the answers of http-01.</summary>
    public int HttpPort { get; } = PenstockProcess.FreePort();

    /// <summary>Where it asks for the answers of tls-alpn-01.</summary>
    public int TlsPort { get; } = PenstockProcess.FreePort();

    /// <summary>The root of its own HTTPS.</summary>
    public string RootFile => Path.Combine(_folder, "root.pem");

    /// <summary>What it logged.</summary>
    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>How many certificates it has given.</summary>
    public int Issued => Lines.Count(static line => line.Contains("Issued certificate", StringComparison.Ordinal));

    /// <param name="life">Of its certificates.</param>
    /// <param name="needsBinding">An account needs <see cref="KeyId"/> and <see cref="HmacKey"/>.</param>
    /// <param name="blocked">A domain for which it gives no certificate.</param>
    /// <param name="environment">More of its settings.</param>
    public static async Task<Pebble> StartAsync(TimeSpan? life = null, bool needsBinding = false,
        string blocked = "blocked.example", params (string Name, string Value)[] environment)
    {
        Dictionary<string, string> all = new()
        {
            ["PEBBLE_VA_NOSLEEP"] = "1", ["PEBBLE_WFE_NONCEREJECT"] = "0", ["PEBBLE_AUTHZREUSE"] = "0",
        };
        foreach ((string name, string value) in environment)
        {
            all[name] = value;
        }
        var pebble = new Pebble(all);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using var root = new TestRoot(now.AddDays(-1), now.AddDays(1));
        (string certificate, string key) = root.IssueForLoopback(now.AddHours(-1), now.AddHours(12));
        await pebble.WriteAsync("root.pem", root.Pem);
        await pebble.WriteAsync("cert.pem", certificate);
        await pebble.WriteAsync("key.pem", key);
        await pebble.WriteAsync("config.json", JsonSerializer.Serialize(new
        {
            pebble = new
            {
                listenAddress = $"127.0.0.1:{pebble._port}",
                managementListenAddress = $"127.0.0.1:{PortText()}",
                certificate = Path.Combine(pebble._folder, "cert.pem"),
                privateKey = Path.Combine(pebble._folder, "key.pem"),
                httpPort = pebble.HttpPort,
                tlsPort = pebble.TlsPort,
                externalAccountBindingRequired = needsBinding,
                externalAccountMACKeys = new Dictionary<string, string> { [KeyId] = HmacKey },
                domainBlocklist = new[] { blocked },
                certificateValidityPeriod = (long)(life ?? TimeSpan.FromDays(90)).TotalSeconds,
            },
        }));
        pebble._dnsAddress = $"127.0.0.1:{PortText()}";
        pebble._dns = pebble.Run($"{Program}-challtestsrv", "-management", $"127.0.0.1:{PortText()}", "-dns01",
            pebble._dnsAddress, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "",
            "-tlsalpn01", "");
        await pebble.StartAgainAsync();
        return pebble;
    }

    /// <summary>Starts it on the same port; it has forgotten all accounts.</summary>
    public async Task StartAgainAsync()
    {
        _process = Run(Program, "-config", Path.Combine(_folder, "config.json"), "-dnsserver", _dnsAddress, "-strict");
        await Eventually.TrueAsync(Answers, "Pebble listens");
    }

    public Task StopAsync() => EndAsync(_process);

    public async ValueTask DisposeAsync()
    {
        await EndAsync(_process);
        await EndAsync(_dns);
        Directory.Delete(_folder, recursive: true);
    }

    private static string PortText() => PenstockProcess.FreePort().ToString(CultureInfo.InvariantCulture);

    private static async Task EndAsync(Process? process)
    {
        if (process is not null)
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    private Task WriteAsync(string name, string text) => File.WriteAllTextAsync(Path.Combine(_folder, name), text);

    private Process Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = _folder,
        };
        foreach ((string name, string value) in _environment)
        {
            start.Environment[name] = value;
        }
        Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => Keep(e.Data);
        process.ErrorDataReceived += (_, e) => Keep(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private bool Answers()
    {
        if (_process!.HasExited)
        {
            throw new InvalidOperationException("Pebble ended at once: " + string.Join('\n', Lines));
        }
        try
        {
            using var probe = new TcpClient("127.0.0.1", int.Parse(_port, CultureInfo.InvariantCulture));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            Lines.Enqueue(line);
        }
    }
}
