using System.Diagnostics;
using System.Globalization;

namespace Penstock.TestKit;

/// <summary>A PgBouncer in transaction mode before a <see cref="PostgresServer"/>, with one session for everybody: what
/// one program leaves in the session the next one finds. It does not run as root either.</summary>
public sealed class PgBouncer : IAsyncDisposable
{
    private const string Program = "/usr/sbin/pgbouncer";

    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-pgbouncer-").FullName;
    private readonly PostgresServer _server;
    private Process? _process;

    private PgBouncer(PostgresServer server) => _server = server;

    public static bool IsInstalled => File.Exists(Program);

    public int Port { get; } = PenstockProcess.FreePort();

    public static async Task<PgBouncer> StartAsync(PostgresServer server)
    {
        var pooler = new PgBouncer(server);
        string users = Path.Combine(pooler._folder, "users.txt");
        await File.WriteAllTextAsync(users, $"\"penstock\" \"{PostgresServer.Password}\"\n");
        string settings = Path.Combine(pooler._folder, "pgbouncer.ini");
        await File.WriteAllTextAsync(settings, $"""
            [databases]
            * = host=127.0.0.1 port={server.Port.ToString(CultureInfo.InvariantCulture)}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {pooler.Port.ToString(CultureInfo.InvariantCulture)}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = 1
            """);
        string[] command = [Program, "-q", settings];
        if (Environment.IsPrivilegedProcess)
        {
            using Process own = Process.Start("chown", ["-R", "postgres", pooler._folder]);
            await own.WaitForExitAsync();
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", .. command];
        }
        pooler._process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = "/",
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        pooler._process.BeginErrorReadLine();
        await Eventually.TrueAsync(() => pooler._process.HasExited || Answers(pooler.Port), "PgBouncer listens");
        return pooler;
    }

    /// <summary>The address of a database through this pooler.</summary>
    public string UrlOf(string store) => store.Replace(
        $":{_server.Port.ToString(CultureInfo.InvariantCulture)}/", $":{Port.ToString(CultureInfo.InvariantCulture)}/",
        StringComparison.Ordinal);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }
        Directory.Delete(_folder, recursive: true);
    }

    private static bool Answers(int port)
    {
        try
        {
            using var probe = new System.Net.Sockets.TcpClient("127.0.0.1", port);
            return true;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return false;
        }
    }
}
