using Penstock.Proxy.Connections;

namespace Penstock.Proxy.Exchanges;

/// <summary>Reads and drops what a client still sends after an early answer. Many clients send their whole request
/// before they read anything, and closing a connection with unread bytes resets it, so the client would lose the
/// answer.</summary>
internal sealed class Linger(Worker worker, Connection client)
{
    /// <summary>How long such a client may be silent, and how long it may send in total (nginx's lingering_timeout and
    /// lingering_time). There is no bound in bytes, because a client on a fast line would lose the answer to a large
    /// upload.</summary>
    private const long IdleMs = 5_000;
    private const long MaxMs = 30_000;

    /// <summary>The same two times while Penstock stops.</summary>
    private const long DrainingIdleMs = 1_000;
    private const long DrainingMaxMs = 5_000;

    /// <summary>All loops receive dropped bytes into this buffer. Nobody reads it.</summary>
    private static readonly byte[] Sink = GC.AllocateUninitializedArray<byte>(64 * 1024);

    private Task? _swallowing;

    /// <summary>When lingering ends. 0: the answer is still being sent, under its own deadlines.</summary>
    private long _untilMs;

    /// <summary>The answer is sent; only lingering is left of the connection.</summary>
    public bool IsLast => _untilMs > 0;

    /// <summary>Begins to read and throw away what the client sends, while the answer is on its way.</summary>
    public void Swallow() => _swallowing ??= SwallowAsync();

    /// <summary>Ends the stream to the client, and drops what it sends until it has read the answer and
    /// closes.</summary>
    public async Task RunAsync()
    {
        client.ShutdownSend();
        _untilMs = worker.Loop.NowMs + (worker.Draining ? DrainingMaxMs : MaxMs);
        SetDeadline();
        Swallow();
        await _swallowing!;
    }

    /// <summary>Shortens the wait, because Penstock stops.</summary>
    public void Hasten()
    {
        _untilMs = Math.Min(_untilMs, worker.Loop.NowMs + DrainingMaxMs);
        SetDeadline();
    }

    private async Task SwallowAsync()
    {
        while (await client.WaitForDataAsync() == WaitResult.Ready)
        {
            int count = client.TryReceive(Sink);
            if (count is 0 or Connection.Broken || (IsLast && worker.Loop.NowMs >= _untilMs))
            {
                break;
            }
            if (count > 0 && IsLast)
            {
                SetDeadline();
            }
        }
    }

    private void SetDeadline() => client.SetDeadline(Math.Clamp(_untilMs - worker.Loop.NowMs, 1,
        worker.Draining ? DrainingIdleMs : IdleMs));
}
