using Penstock.Proxy.Connections;

namespace Penstock.Proxy.Exchanges;

/// <summary>After an early answer: many clients write all of their request before they read anything, and a
/// connection that is closed on unread octets is reset, which costs them the answer. So what they still send is read
/// and thrown away.</summary>
internal sealed partial class ClientConnection
{
    /// <summary>How long such a client may be silent, and how long it may go on in all: nginx's lingering_timeout and
    /// lingering_time. Not bounded by octets: a client on a fast line would lose the answer to a large upload.
    /// </summary>
    private const long LingerIdleMs = 5_000;
    private const long LingerMs = 30_000;

    /// <summary>The same while the process stops.</summary>
    private const long DrainingLingerIdleMs = 1_000;
    private const long DrainingLingerMs = 5_000;

    /// <summary>Where all loops throw octets away; nobody reads it.</summary>
    private static readonly byte[] Sink = GC.AllocateUninitializedArray<byte>(64 * 1024);

    private Task? _swallowing;

    /// <summary>0: the answer is still on its way, whose deadlines hold.</summary>
    private long _lingerUntilMs;

    /// <summary>Begins to read and throw away what the client sends, while the answer is on its way.</summary>
    private void Swallow() => _swallowing ??= SwallowAsync();

    /// <summary>Lets the client read our last words: ends our stream and swallows what still comes.</summary>
    private async ValueTask LingerAsync()
    {
        ReleaseBuffer();
        _io.ShutdownSend();
        _lingerUntilMs = _loop.NowMs + (_worker.Draining ? DrainingLingerMs : LingerMs);
        SetLingerDeadline();
        Swallow();
        await _swallowing!;
    }

    private async Task SwallowAsync()
    {
        while (await _io.WaitForDataAsync() == WaitResult.Ready)
        {
            int count = _io.TryReceive(Sink);
            if (count is 0 or Connection.Broken || (_lingerUntilMs > 0 && _loop.NowMs >= _lingerUntilMs))
            {
                break;
            }
            if (count > 0 && _lingerUntilMs > 0)
            {
                SetLingerDeadline();
            }
        }
    }

    private void HastenLinger()
    {
        _lingerUntilMs = Math.Min(_lingerUntilMs, _loop.NowMs + DrainingLingerMs);
        SetLingerDeadline();
    }

    private void SetLingerDeadline() => _io.SetDeadline(Math.Clamp(_lingerUntilMs - _loop.NowMs, 1,
        _worker.Draining ? DrainingLingerIdleMs : LingerIdleMs));
}
