using Penstock.Proxy.Connections;

namespace Penstock.Proxy.Exchanges;

/// <summary>After an early answer: many clients write all of their request before they read anything, and a
/// connection that is closed on unread bytes is reset, which costs them the answer. So what they still send is read
/// and thrown away.</summary>
internal sealed class Linger(Worker worker, Connection client)
{
    /// <summary>How long such a client may be silent, and how long it may go on in all: nginx's lingering_timeout and
    /// lingering_time. Not bounded by bytes: a client on a fast line would lose the answer to a large upload.
    /// </summary>
    private const long IdleMs = 5_000;
    private const long MaxMs = 30_000;

    /// <summary>The same while the process stops.</summary>
    private const long DrainingIdleMs = 1_000;
    private const long DrainingMaxMs = 5_000;

    /// <summary>Where all loops throw bytes away; nobody reads it.</summary>
    private static readonly byte[] Sink = GC.AllocateUninitializedArray<byte>(64 * 1024);

    private Task? _swallowing;

    /// <summary>0: the answer is still on its way, whose deadlines hold.</summary>
    private long _untilMs;

    /// <summary>The answer is sent: nothing but this is left of the connection.</summary>
    public bool IsLast => _untilMs > 0;

    /// <summary>Begins to read and throw away what the client sends, while the answer is on its way.</summary>
    public void Swallow() => _swallowing ??= SwallowAsync();

    /// <summary>Lets the client read our last words: ends our stream and swallows what still comes.</summary>
    public async Task RunAsync()
    {
        client.ShutdownSend();
        _untilMs = worker.Loop.NowMs + (worker.Draining ? DrainingMaxMs : MaxMs);
        SetDeadline();
        Swallow();
        await _swallowing!;
    }

    /// <summary>The process stops.</summary>
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
