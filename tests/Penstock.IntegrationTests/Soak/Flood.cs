using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>A client that sends some thousand requests per second until the server is killed.</summary>
internal sealed class Flood : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly Task[] _connections;
    private long _lastAnswerTicks;
    private int _admitted;
    private int _rejected;

    public Flood(int port, string client, int connections)
    {
        var server = new IPEndPoint(IPAddress.Loopback, port);
        _connections = [.. Enumerable.Range(0, connections).Select(_ => Task.Run(() => RunAsync(server, client)))];
    }

    /// <summary>The time from its start to the last answer.</summary>
    public double Seconds => Interlocked.Read(ref _lastAnswerTicks) / (double)Stopwatch.Frequency;

    public int Admitted => Volatile.Read(ref _admitted);

    public int Rejected => Volatile.Read(ref _rejected);

    public async Task EndAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_connections);
    }

    public void Dispose() => _stop.Dispose();

    private async Task RunAsync(EndPoint server, string client)
    {
        try
        {
            using var connection = new RawClient(server);
            while (!_stop.IsCancellationRequested)
            {
                int status = (await connection.GetAsync("/", $"X-Client-ID: {client}\r\n")).Status;
                Interlocked.Increment(ref status == 200 ? ref _admitted : ref _rejected);
                Interlocked.Exchange(ref _lastAnswerTicks, _watch.ElapsedTicks);
                await Task.Delay(1); // leaves the program some of the machine
            }
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // killed
        }
    }
}
