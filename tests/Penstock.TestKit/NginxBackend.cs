using System.Diagnostics;
using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>A real nginx as a backend, on a free port.</summary>
public sealed class NginxBackend : IAsyncDisposable
{
    private static readonly string[] Places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-nginx-").FullName;
    private Process? _process;

    /// <summary>The path of nginx; null if it is not installed.</summary>
    public static string? Program => Places.FirstOrDefault(File.Exists);

    public int Port { get; } = PenstockProcess.FreePort();

    /// <param name="server">What goes into the <c>server</c> block besides <c>listen</c>.</param>
    public static async Task<NginxBackend> StartAsync(string server)
    {
        var nginx = new NginxBackend();
        string file = Path.Combine(nginx._folder, "nginx.conf");
        await File.WriteAllTextAsync(file, $$"""
            daemon off; master_process off; pid {{nginx._folder}}/pid; error_log {{nginx._folder}}/error.log;
            events { worker_connections 1024; }
            http {
              access_log off; client_body_temp_path {{nginx._folder}}/body; proxy_temp_path {{nginx._folder}}/proxy;
              fastcgi_temp_path {{nginx._folder}}/f; uwsgi_temp_path {{nginx._folder}}/u;
              scgi_temp_path {{nginx._folder}}/s;
              server { listen 127.0.0.1:{{nginx.Port}}; root {{nginx._folder}}; {{server}} }
            }
            """);
        await File.WriteAllBytesAsync(Path.Combine(nginx._folder, "file.bin"), new byte[3_000_000]);
        nginx._process = Process.Start(new ProcessStartInfo(Program!, ["-c", file]) { UseShellExecute = false })!;
        await Eventually.TrueAsync(nginx.Answers, "nginx listens");
        return nginx;
    }

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

    private bool Answers()
    {
        try
        {
            using var probe = new TcpClient("127.0.0.1", Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
