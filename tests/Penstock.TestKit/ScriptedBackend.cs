using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;

namespace Penstock.TestKit;

/// <summary>A backend that does what the test says, byte by byte: every connection runs the script.</summary>
public sealed class ScriptedBackend : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<BackendPeer, bool> _open = new();
    private readonly Func<BackendPeer, Task> _script;
    private readonly Task _accepting;
    private int _connections;

    /// <param name="address">Where to listen; the loopback address by default.</param>
    public ScriptedBackend(Func<BackendPeer, Task> script, IPAddress? address = null)
    {
        _script = script;
        _listener = new TcpListener(address ?? IPAddress.Loopback, 0);
        _listener.Start(512);
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        TestTls.Note(Port);
        _accepting = Task.Run(AcceptAsync); // off the test runner's context, which a test may block
    }

    public int Port { get; }

    /// <summary>Connections accepted so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Heads of all requests, in the order of their arrival.</summary>
    public ConcurrentQueue<string> Heads { get; } = new();

    /// <summary>Answers every request of a connection with a fixed body.</summary>
    public static ScriptedBackend Always(string body, string extraFields = "") => new(async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n{extraFields}\r\n{body}");
        }
    });

    /// <summary>Answers each request "ok" when <paramref name="release"/> has completed.</summary>
    public static ScriptedBackend OkAfter(Task release) => new(async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            await release;
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });

    /// <summary>Answers every request with what the function makes of its head and body.</summary>
    public static ScriptedBackend Answer(Func<BackendRequest, string> answer) => new(async peer =>
    {
        while (await peer.ReadRequestAsync() is { } request)
        {
            await peer.SendAsync(answer(request));
        }
    });

    /// <summary>Resets every open connection, as a killed process does; further ones are still accepted.</summary>
    public void ResetAll()
    {
        foreach (BackendPeer peer in _open.Keys)
        {
            peer.Reset();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        TestTls.Note(Port, isSecured: false); // another server may get the port
        _listener.Stop();
        ResetAll();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                _ = RunAsync(new BackendPeer(socket, this));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException
            or InvalidOperationException)
        {
            // Stopped.
        }
    }

    private async Task RunAsync(BackendPeer peer)
    {
        _open[peer] = true;
        try
        {
            await peer.BeginAsync();
            await _script(peer);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException
            or EndOfStreamException or AuthenticationException)
        {
            // The proxy closed the connection, which may be what the test wants.
        }
        finally
        {
            _open.TryRemove(peer, out _);
            peer.Dispose();
        }
    }
}

/// <param name="Head">Without the empty line.</param>
/// <param name="Body">Decoded.</param>
public sealed record BackendRequest(string Head, byte[] Body)
{
    public string Line => Head[..Head.IndexOf("\r\n", StringComparison.Ordinal)];

    /// <summary>Value of a field, or null.</summary>
    public string? this[string name] => Wire.Field(Head, name);
}

/// <summary>One connection at the backend's side.</summary>
public sealed class BackendPeer : IDisposable
{
    private readonly Socket _socket;
    private readonly ScriptedBackend _backend;
    private readonly Stream _stream;

    internal BackendPeer(Socket socket, ScriptedBackend backend)
    {
        socket.NoDelay = true;
        _socket = socket;
        _backend = backend;
        _stream = new NetworkStream(socket, ownsSocket: true);
        if (TestTls.IsOn)
        {
            _stream = new SslStream(_stream);
        }
        Reader = new Wire(_stream);
    }

    public Wire Reader { get; }

    /// <summary>The next request with its body; null when the proxy has closed the connection.</summary>
    public async Task<BackendRequest?> ReadRequestAsync()
    {
        string? head = await ReadHeadAsync();
        return head is null ? null : new BackendRequest(head, await Reader.ReadBodyAsync(head, isResponse: false));
    }

    public async Task<string?> ReadHeadAsync()
    {
        string? head = await Reader.ReadHeadAsync();
        if (head is not null)
        {
            _backend.Heads.Enqueue(head);
        }
        return head;
    }

    public async Task SendAsync(string bytes) => await _stream.WriteAsync(Encoding.Latin1.GetBytes(bytes));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await _stream.WriteAsync(bytes);

    /// <summary>Ends the stream to the proxy; the other direction stays open.</summary>
    public void ShutdownSend()
    {
        TestTls.End(_stream);
        _socket.Shutdown(SocketShutdown.Send);
    }

    /// <summary>Ends the connection with a reset.</summary>
    public void Reset()
    {
        try
        {
            _socket.LingerState = new LingerOption(enable: true, 0);
        }
        catch (ObjectDisposedException)
        {
            return; // ended already
        }
        _socket.Dispose();
    }

    public void Dispose()
    {
        TestTls.End(_stream);
        _stream.Dispose();
    }

    /// <summary>Does the handshake of TLS, if there is one.</summary>
    internal Task BeginAsync() =>
        _stream is SslStream secure ? secure.AuthenticateAsServerAsync(TestTls.ServerOptions) : Task.CompletedTask;
}
