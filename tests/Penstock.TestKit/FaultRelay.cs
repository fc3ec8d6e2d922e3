using System.Net;
using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>What happens to a direction after <see cref="Fault.LimitBytes"/>.</summary>
public enum AtLimit
{
    /// <summary>Both connections are closed normally.</summary>
    Close,

    /// <summary>Both connections are reset.</summary>
    Reset,

    /// <summary>This direction ends, the other one continues.</summary>
    HalfClose,

    /// <summary>Further bytes are read and dropped for <see cref="Fault.SwallowFor"/>; then both connections end.
    /// </summary>
    Swallow,

    /// <summary>The relay stops reading, so that the writer gets stuck. With a limit of 0 nothing passes.</summary>
    Stall,
}

/// <summary>What a <see cref="FaultRelay"/> does to one direction; by default nothing.</summary>
public sealed record Fault
{
    /// <summary>How long each piece is held back.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>0: as fast as possible.</summary>
    public int BytesPerSecond { get; init; }

    /// <summary>The maximum length of a piece in bytes; 0: pieces pass as they arrive.</summary>
    public int SliceBytes { get; init; }

    /// <summary>Bytes of each connection that pass before <see cref="AtLimit"/> happens.</summary>
    public long LimitBytes { get; init; } = long.MaxValue;

    public AtLimit AtLimit { get; init; }
    public TimeSpan SwallowFor { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>Index of the byte of each connection whose highest bit is flipped; negative: none.</summary>
    public long CorruptAt { get; init; } = -1;
}

/// <summary>A relay between a proxy and a server that injects the faults of networks and dying processes. A fault that
/// a test sets applies from the next piece, also to open connections. Thread-safe.</summary>
public sealed class FaultRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private volatile Fault _up = new();
    private volatile Fault _down = new();
    private int _connections;

    /// <param name="target">Port on the loopback address where the server is.</param>
    public FaultRelay(int target)
    {
        Target = target;
        _listener.Start(512);
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        TestTls.Note(Port, TestTls.IsSecured(target));
        _accepting = Task.Run(AcceptAsync);
    }

    public int Port { get; }

    /// <summary>Where new connections go.</summary>
    public int Target { get; set; }

    /// <summary>Connections accepted so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Towards the server.</summary>
    public Fault Up
    {
        get => _up;
        set => _up = value;
    }

    /// <summary>Back from the server.</summary>
    public Fault Down
    {
        get => _down;
        set => _down = value;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        TestTls.Note(Port, isSecured: false);
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                _ = CarryBothAsync(client);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task CarryBothAsync(Socket client)
    {
        using Socket near = client;
        using var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        near.NoDelay = far.NoDelay = true;
        try
        {
            await far.ConnectAsync(IPAddress.Loopback, Target, end.Token);
            Task[] both = [CarryAsync(near, far, () => _up, end), CarryAsync(far, near, () => _down, end)];
            await Task.WhenAny(Task.WhenAll(both), Task.Delay(Timeout.Infinite, end.Token));
            await end.CancelAsync();
            await Task.WhenAll(both);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // One side has closed: close the other side too.
        }
    }

    private static async Task CarryAsync(Socket from, Socket to, Func<Fault> current, CancellationTokenSource end)
    {
        byte[] buffer = new byte[16 * 1024];
        long passed = 0;
        try
        {
            while (true)
            {
                if (passed >= current().LimitBytes)
                {
                    await EndAsync(from, to, current(), buffer, end);
                    return;
                }
                int most = current().SliceBytes is > 0 and var slice ? slice : buffer.Length;
                int count = await from.ReceiveAsync(buffer.AsMemory(0, most), end.Token);
                if (count == 0)
                {
                    to.Shutdown(SocketShutdown.Send);
                    return;
                }
                Fault fault = current();
                if (fault.CorruptAt - passed is >= 0 and var at && at < count)
                {
                    buffer[at] ^= 0x80;
                }
                await Task.Delay(fault.Latency, end.Token);
                count = (int)Math.Min(count, Math.Max(0, fault.LimitBytes - passed));
                await to.SendAsync(buffer.AsMemory(0, count), end.Token);
                passed += count;
                if (fault.BytesPerSecond > 0)
                {
                    await Task.Delay(TimeSpan.FromSeconds((double)count / fault.BytesPerSecond), end.Token);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            if (!end.IsCancellationRequested)
            {
                Reset(from, to); // a reset is passed on as one
                await end.CancelAsync();
            }
        }
    }

    private static async Task EndAsync(Socket from, Socket to, Fault fault, byte[] buffer, CancellationTokenSource end)
    {
        switch (fault.AtLimit)
        {
            case AtLimit.HalfClose:
                to.Shutdown(SocketShutdown.Send);
                return;
            case AtLimit.Stall:
                await Task.Delay(Timeout.Infinite, end.Token);
                return;
            case AtLimit.Swallow:
                using (var time = CancellationTokenSource.CreateLinkedTokenSource(end.Token))
                {
                    time.CancelAfter(fault.SwallowFor);
                    while (!time.IsCancellationRequested && await from.ReceiveAsync(buffer, time.Token) > 0)
                    {
                    }
                }
                break;
            case AtLimit.Reset:
                Reset(from, to);
                break;
        }
        await end.CancelAsync();
    }

    private static void Reset(params ReadOnlySpan<Socket> sockets)
    {
        foreach (Socket socket in sockets)
        {
            try
            {
                socket.LingerState = new LingerOption(enable: true, 0);
                socket.Dispose();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The connection is already closed.
            }
        }
    }
}
