using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Attacks;

/// <summary>All hostile messages over real sockets, whole and in pieces, 64 at a time beside honest clients: a backend
/// never sees a request that the client did not send, and no client gets bytes of another.</summary>
public sealed class SmugglingTests
{
    private const int Parallel = 64;
    private static readonly int[] Pieces = [int.MaxValue, 1, 7];

    private readonly ConcurrentDictionary<string, int> _delivered = new();
    private readonly ConcurrentQueue<string> _wrong = new();

    /// <summary>Request lines that are meant: of the messages that are forwarded without their hostile part, and of the
    /// good request before message 32.</summary>
    private static readonly Dictionary<int, string> Meant = new()
    {
        [32] = "GET / HTTP/1.1",
        [112] = "POST / HTTP/1.1",
        [113] = "POST /p HTTP/1.1",
        [114] = "GET /test HTTP/1.1",
        [115] = "PUT /url HTTP/1.1",
    };

    [Fact]
    public async Task Hostile_messages_reach_no_backend_whole_and_disturb_nobody()
    {
        await using var backend = ScriptedBackend.Answer(r =>
        {
            _delivered.AddOrUpdate(r.Line, 1, static (_, n) => n + 1);
            string marker = r.Line.Split(' ')[1];
            return $"HTTP/1.1 200 OK\r\nContent-Length: {marker.Length}\r\n\r\n{marker}";
        });
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port, backend.Port) with
        {
            Loops = 2,
            Bounds = new BoundsConfig { AllowsHalfClose = true },
        });

        using var stop = new CancellationTokenSource();
        Task[] honest = [.. Enumerable.Range(0, 8).Select(i => Task.Run(() => HonestAsync(proxy, i, stop.Token)))];
        IEnumerable<(HostileRequest Message, int Piece)> work =
            HostileRequests.All.SelectMany(static r => Pieces.Select(p => (Message: r, Piece: p)));
        await System.Threading.Tasks.Parallel.ForEachAsync(work,
            new ParallelOptions { MaxDegreeOfParallelism = Parallel },
            async (w, _) => await SendHostileAsync(proxy, w.Message, w.Piece));
        await stop.CancelAsync();
        await Task.WhenAll(honest);

        Assert.Empty(_wrong);
        Assert.Equal(
            Meant.Values.Select(static line => $"{line} ×{Pieces.Length}").Order(StringComparer.Ordinal),
            _delivered.Where(static d => !d.Key.StartsWith("GET /honest", StringComparison.Ordinal))
                .Select(static d => $"{d.Key} ×{d.Value}").Order(StringComparer.Ordinal));
        await proxy.AssertQuietAsync();
    }

    private async Task SendHostileAsync(TestProxy proxy, HostileRequest message, int piece)
    {
        byte[] bytes = Bytes.Of(message.Escaped);
        using RawClient client = proxy.Connect();
        string answer;
        try
        {
            for (int at = 0; at < bytes.Length; at += Math.Min(piece, bytes.Length - at))
            {
                await client.SendAsync(bytes.AsMemory(at, Math.Min(piece, bytes.Length - at)));
            }
            client.ShutdownSend();
            answer = Encoding.Latin1.GetString(await client.Reader.ReadToEndAsync());
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            return; // cut off while it was still talking
        }

        string[] statuses = [.. answer.Split("HTTP/1.1 ").Skip(1)
            .Where(static s => char.IsAsciiDigit(s[0])).Select(static s => s[..3])];
        int good = Meant.ContainsKey(message.Number) ? 1 : 0;
        bool rejected = statuses.Length == good || (statuses.Length == good + 1 && statuses[^1][0] is '4' or '5');
        if (!rejected || statuses.Take(good).Any(static s => s != "200"))
        {
            _wrong.Enqueue($"message {message.Number} ({message.Class}) in pieces of {piece}: {answer}");
        }
        if (message.Fault != HttpFault.None && good == 0 && statuses.Length == 0 && piece == int.MaxValue)
        {
            _wrong.Enqueue($"message {message.Number} ({message.Class}) got no answer");
        }
    }

    private async Task HonestAsync(TestProxy proxy, int who, CancellationToken stop)
    {
        using RawClient client = proxy.Connect();
        for (int n = 0; !stop.IsCancellationRequested; n++)
        {
            string marker = $"/honest-{who}-{n}";
            RawResponse response = await client.GetAsync(marker);
            if (response.Status != 200 || response.Text != marker)
            {
                _wrong.Enqueue($"{marker} got {response.Status} {response.Text}");
            }
        }
    }
}
