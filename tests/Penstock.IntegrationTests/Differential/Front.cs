using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Differential;

/// <summary>What one proxy did with one message.</summary>
/// <param name="Status">The last final status that the client got; 0 for none.</param>
/// <param name="Seen">Each request that the backend read whole: method, target, host, body.</param>
internal sealed record Outcome(int Status, IReadOnlyList<string> Seen)
{
    public string Text => $"{Status} [{string.Join(" | ", Seen)}]";
}

/// <summary>One proxy with several lanes, each with a separate backend that records what it reads. Only one message
/// uses a lane at a time, so everything that arrives there belongs to it.</summary>
internal sealed class Front : IAsyncDisposable
{
    public const int Lanes = 8;

    private readonly List<Recorder> _recorders = [.. Enumerable.Range(0, Lanes).Select(static _ => new Recorder())];
    private readonly List<TestProxy> _penstocks = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-differential-").FullName;
    private Process? _process;
    private List<EndPoint> _endPoints = [];

    public static string? Haproxy => Find("haproxy");

    public static string? Nginx => NginxBackend.Program;

    public static Front StartPenstock()
    {
        var front = new Front();
        foreach (Recorder recorder in front._recorders)
        {
            front._penstocks.Add(TestProxy.To(recorder.Backend));
        }
        front._endPoints = [.. front._penstocks.Select(static p => p.EndPoint)];
        return front;
    }

    public static async Task<Front> StartNginxAsync()
    {
        var front = new Front();
        string servers = front.EachLane(static (port, backend) => $$"""
              server { listen 127.0.0.1:{{port}}; location / {
                proxy_pass http://127.0.0.1:{{backend}}; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_set_header Host $http_host; } }

            """);
        await front.StartAsync(Nginx!, "-c", $$"""
            daemon off; master_process off; pid {{front._folder}}/pid; error_log {{front._folder}}/error.log;
            events { worker_connections 1024; }
            http {
              access_log off; client_body_temp_path {{front._folder}}/body; proxy_temp_path {{front._folder}}/proxy;
              fastcgi_temp_path {{front._folder}}/f; uwsgi_temp_path {{front._folder}}/u;
              scgi_temp_path {{front._folder}}/s; lingering_close off;
            {{servers}}}
            """);
        return front;
    }

    public static async Task<Front> StartHaproxyAsync()
    {
        var front = new Front();
        string servers = front.EachLane(static (port, backend) => $"""
            listen lane{port}
              bind 127.0.0.1:{port}
              server backend 127.0.0.1:{backend}

            """);
        await front.StartAsync(Haproxy!, "-f", $"""
            global
              nbthread 1
            defaults
              mode http
              timeout connect 5s
              timeout client 30s
              timeout server 30s

            {servers}
            """);
        return front;
    }

    /// <summary>Sends a message and watches until nothing happens any more.</summary>
    public async Task<Outcome> SendAsync(int lane, byte[] message, TimeSpan quiet)
    {
        Recorder recorder = _recorders[lane];
        recorder.Clear();
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync((IPEndPoint)_endPoints[lane]);
        var answer = new MemoryStream();
        try
        {
            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(message);
            byte[] buffer = new byte[16 * 1024];
            while (true)
            {
                using var wait = new CancellationTokenSource(quiet);
                int count = await stream.ReadAsync(buffer, wait.Token);
                if (count == 0)
                {
                    break;
                }
                answer.Write(buffer, 0, count);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // It waits for more of the message, or for the next one; or it has cut the connection.
        }
        return new Outcome(LastStatus(Encoding.Latin1.GetString(answer.ToArray())), recorder.Seen);
    }

    /// <summary>Comes back when a request that is sent now has come through, and so all before it.</summary>
    public async Task SettleAsync(int lane)
    {
        using var client = new RawClient(_endPoints[lane]);
        await client.GetAsync("/settle");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (TestProxy proxy in _penstocks)
        {
            await proxy.DisposeAsync();
        }
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }
        foreach (Recorder recorder in _recorders)
        {
            await recorder.Backend.DisposeAsync();
        }
        Directory.Delete(_folder, recursive: true);
    }

    private string EachLane(Func<int, int, string> server)
    {
        int[] ports = [.. _recorders.Select(static _ => PenstockProcess.FreePort())];
        _endPoints = [.. ports.Select(static p => new IPEndPoint(IPAddress.Loopback, p))];
        return string.Concat(ports.Zip(_recorders, (port, recorder) => server(port, recorder.Backend.Port)));
    }

    private async Task StartAsync(string program, string option, string configuration)
    {
        string file = Path.Combine(_folder, "proxy.conf");
        await File.WriteAllTextAsync(file, configuration.ReplaceLineEndings("\n") + "\n");
        _process = Process.Start(new ProcessStartInfo(program, [option, file])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        })!;
        _process.ErrorDataReceived += static (_, _) => { };
        _process.BeginErrorReadLine();
        await Eventually.TrueAsync(() => _endPoints.TrueForAll(Answers), $"{program} listens");
    }

    private static bool Answers(EndPoint endPoint)
    {
        try
        {
            using var probe = new TcpClient();
            probe.Connect((IPEndPoint)endPoint);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int LastStatus(string answer)
    {
        int last = 0;
        for (int at = 0; (at = answer.IndexOf("HTTP/1.", at, StringComparison.Ordinal)) >= 0; at++)
        {
            if (answer.Length >= at + 12 && int.TryParse(answer.AsSpan(at + 9, 3), out int status) && status >= 200)
            {
                last = status;
            }
        }
        return last;
    }

    private static string? Find(string program) => new[] { "/usr/sbin", "/usr/local/sbin", "/usr/bin" }
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <summary>A backend that answers every request that it can read and writes it down.</summary>
    private sealed class Recorder
    {
        private readonly Lock _gate = new();
        private readonly List<string> _seen = [];

        public Recorder() => Backend = new ScriptedBackend(RunAsync);

        public ScriptedBackend Backend { get; }

        public IReadOnlyList<string> Seen
        {
            get
            {
                lock (_gate)
                {
                    return [.. _seen];
                }
            }
        }

        public void Clear()
        {
            lock (_gate)
            {
                _seen.Clear();
            }
        }

        private async Task RunAsync(BackendPeer peer)
        {
            try
            {
                while (await peer.ReadRequestAsync() is { } request)
                {
                    string[] line = request.Head.Split("\r\n")[0].Split(' ');
                    lock (_gate)
                    {
                        _seen.Add($"{line[0]} {line.ElementAtOrDefault(1)} host {request["Host"]} body "
                            + Encoding.Latin1.GetString(request.Body));
                    }
                    await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
                        + (line[0] == "HEAD" ? "" : "ok"));
                }
            }
            catch (OverflowException)
            {
                // A length that no test can send.
            }
            catch (Exception e) when (e is FormatException or InvalidDataException)
            {
                lock (_gate)
                {
                    _seen.Add("malformed: " + e.Message);
                }
            }
        }
    }
}
