using System.Diagnostics;
using System.Globalization;

namespace Penstock.TestKit;

/// <summary>A separate PostgreSQL server that requires a password, in a temporary folder, on a free port. PostgreSQL
/// does not run as root; if the tests do, it runs as the user that its package created.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    /// <summary>The password; it contains characters with a meaning in a URL.</summary>
    public const string Password = "p@ss/w:rd?";

    private const string User = "penstock";
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-postgres-").FullName;
    private readonly string _settings;
    private int _databases;

    private PostgresServer(string settings) => _settings = settings;

    /// <summary>The folder of its programs; null if it is not installed.</summary>
    public static string? Programs => !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.GetDirectories("/usr/lib/postgresql").Select(static d => Path.Combine(d, "bin"))
            .Where(static d => File.Exists(Path.Combine(d, "postgres"))).Order(StringComparer.Ordinal).LastOrDefault();

    public int Port { get; } = PenstockProcess.FreePort();

    private string Data => Path.Combine(_folder, "data");

    /// <param name="settings">Of its command line. By default nothing is forced to the disk, which would be the
    /// disk's speed and no test's.</param>
    public static async Task<PostgresServer> StartAsync(
        string settings = "-c fsync=off -c max_connections=200 -c shared_buffers=32MB -c autovacuum_naptime=5s")
    {
        var server = new PostgresServer(settings);
        string passwordFile = Path.Combine(server._folder, "password");
        await File.WriteAllTextAsync(passwordFile, Password);
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("chown", "-R", "postgres", server._folder);
        }
        await AsUserAsync("initdb", "-D", server.Data, "-U", User, "-A", "scram-sha-256", "--pwfile=" + passwordFile,
            "-E", "UTF8", "--locale=C", "--no-sync");
        await server.StartAgainAsync();
        return server;
    }

    /// <summary>The <c>store</c> of a configuration: a fresh, empty database.</summary>
    public async Task<string> NewDatabaseAsync()
    {
        string name = "test" + Interlocked.Increment(ref _databases).ToString(CultureInfo.InvariantCulture);
        await SqlAsync("postgres", $"CREATE DATABASE {name}");
        return UrlOf(name);
    }

    public string UrlOf(string database) => $"postgres://{User}:{Password}@127.0.0.1:{Port}/{database}";

    /// <summary>Runs SQL outside of Penstock and returns the output of psql.</summary>
    public Task<string> SqlAsync(string store, params string[] sql) => SqlAtAsync(Port, store, sql);

    /// <summary>The same through the program that listens on this port.</summary>
    public static Task<string> SqlAtAsync(int port, string store, params string[] sql)
    {
        string database = DatabaseOf(store);
        return RunAsync(Path.Combine(Programs!, "psql"), ["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
            port.ToString(CultureInfo.InvariantCulture), "-U", User, "-d", database,
            .. sql.SelectMany(static one => new[] { "-c", one })]);
    }

    /// <param name="kill">As in a crash: all connections are cut without a message.</param>
    public Task StopAsync(bool kill = false) =>
        AsUserAsync("pg_ctl", "stop", "-w", "-D", Data, "-m", kill ? "immediate" : "fast");

    /// <summary>Kills the first process, like the kernel when memory runs out. Its other processes notice and end.
    /// </summary>
    public async Task KillAsync()
    {
        string lockFile = Path.Combine(Data, "postmaster.pid");
        string[] lines = await File.ReadAllLinesAsync(lockFile);
        int id = int.Parse(lines[0], CultureInfo.InvariantCulture);
        int[] children = ChildrenOf(id);
        using (Process postmaster = Process.GetProcessById(id))
        {
            postmaster.Kill();
        }
        // the next one would not start beside them, or while nobody asked for the exit code of the first
        await Eventually.TrueAsync(() => !children.Append(id).Any(IsRunning), "all of PostgreSQL has ended");
        File.Delete(lockFile);
        File.Delete(Path.Combine(_folder, $".s.PGSQL.{Port}.lock"));
    }

    /// <summary>Runs SQL while the server is stopped, so that no node gets a notification.</summary>
    public Task SqlWhileStoppedAsync(string store, string sql)
    {
        string script = $"echo \"$2\" | exec '{Path.Combine(Programs!, "postgres")}' --single -j -D \"$0\" \"$1\"";
        string[] shell = ["-c", script, Data, DatabaseOf(store), sql];
        return Environment.IsPrivilegedProcess
            ? RunAsync("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", "bash", .. shell])
            : RunAsync("bash", shell);
    }

    public async Task StartAgainAsync()
    {
        string options = $"-p {Port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={_folder} {_settings}";
        await AsUserAsync("pg_ctl", "start", "-w", "-D", Data, "-l", Path.Combine(_folder, "log"), "-o", options);
    }

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(Data, "postmaster.pid")))
        {
            await StopAsync(kill: true);
        }
        Directory.Delete(_folder, recursive: true);
    }

    private static string DatabaseOf(string store) => store[(store.LastIndexOf('/') + 1)..];

    private static int[] ChildrenOf(int id) =>
        [.. Directory.GetDirectories("/proc").Select(static d => Path.GetFileName(d))
            .Where(static d => char.IsAsciiDigit(d[0])).Select(int.Parse)
            .Where(child => StatusOf(child) is [_, string parent, ..]
                && parent == id.ToString(CultureInfo.InvariantCulture))];

    /// <summary>True if the process has not ended; a zombie counts as ended.</summary>
    private static bool IsRunning(int id) => StatusOf(id) is [not ("Z" or "X"), ..];

    /// <summary>The fields of <c>/proc/PID/stat</c> after the name: state, parent, ...; empty if the process has ended.
    /// </summary>
    private static string[] StatusOf(int id)
    {
        try
        {
            string all = File.ReadAllText($"/proc/{id}/stat");
            return all[(all.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static Task<string> AsUserAsync(string program, params string[] arguments)
    {
        string path = Path.Combine(Programs!, program);
        return Environment.IsPrivilegedProcess
            ? RunAsync("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path, .. arguments])
            : RunAsync(path, arguments);
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
            Environment = { ["PGPASSWORD"] = Password, ["LC_ALL"] = "C" },
        })!;
        // the server that pg_ctl starts holds these pipes open, so reading to their end would not end
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed: {await error}");
        }
        return program.EndsWith("psql", StringComparison.Ordinal) ? (await output).Trim() : "";
    }
}
