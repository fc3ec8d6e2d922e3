using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Why a relay ended.</summary>
internal enum RelayEnd : byte
{
    Done,
    SourceClosed,
    SourceTimedOut,
    TargetClosed,
    TargetTimedOut,
    BodyInvalid,

    /// <summary>Penstock ended it.</summary>
    Canceled,
}

/// <summary>Relays the rest of one body from one connection to another, a buffer at a time. It reads nothing before the
/// last piece is sent, so a slow reader slows the writer down and memory stays at one buffer. It holds no buffer while
/// it waits for the source. One use; not thread-safe.</summary>
internal sealed class BodyRelay(Loop loop, Connection source, Connection target, long timeoutMs,
    int minBytesPerSecond = 0)
{
    /// <summary>How long a body may be slower than the minimum rate (Kestrel's default).</summary>
    private const long GraceMs = 5000;

    private BodyReader _body;
    private byte[]? _buffer;
    private bool _fills;
    private long _waitedMs;
    private long _waitBeganMs;
    private bool _rateApplies = minBytesPerSecond > 0;

    /// <summary>Receives bytes that were read behind the end of the body. They are valid only during the
    /// call.</summary>
    public delegate void Excess(ReadOnlySpan<byte> bytes);

    /// <summary>Bytes of payload relayed.</summary>
    public long PayloadBytes { get; private set; }
    public HttpFault Fault => _body.Fault;
    public bool BodyDone => _body.Done;

    /// <summary>The source waits for a 100 response before it sends (<c>Expect: 100-continue</c>). Until then, or until
    /// it sends without one, its silence does not count.</summary>
    public bool AwaitsLeave { get; set; }

    /// <summary>The source has received its 100 response.</summary>
    public void GiveLeave()
    {
        if (AwaitsLeave)
        {
            AwaitsLeave = false;
            RestartWait();
        }
    }

    /// <summary>Stops checking the minimum rate. The response has begun, and what the source sends next may depend on
    /// it; from now on it is enough that bytes move in either direction.</summary>
    public void StopRating()
    {
        AwaitsLeave = false;
        _rateApplies = false;
        RestartWait();
    }

    private void RestartWait()
    {
        _waitBeganMs = loop.NowMs;
        if (source.AwaitsData)
        {
            SetSourceDeadline();
        }
    }

    /// <param name="body">The state of the body's reader.</param>
    /// <param name="chunked">Send the body in chunks.</param>
    /// <param name="onExcess">Called with bytes that arrived behind the body.</param>
    public async Task<RelayEnd> RunAsync(BodyReader body, bool chunked, Excess onExcess)
    {
        _body = body;
        try
        {
            while (!_body.Done)
            {
                SetSourceDeadline();
                _waitBeganMs = loop.NowMs;
                WaitResult wait = await source.WaitForDataAsync();
                _waitedMs += AwaitsLeave ? 0 : loop.NowMs - _waitBeganMs;
                AwaitsLeave = false;
                if (wait != WaitResult.Ready)
                {
                    return wait == WaitResult.TimedOut ? RelayEnd.SourceTimedOut : RelayEnd.Canceled;
                }

                RelayEnd end = ReadPiece(chunked, onExcess, out int start, out int length);
                int finish = start + length;
                while (start < finish)
                {
                    int sent = target.TrySend(_buffer.AsSpan(start, finish - start));
                    if (sent == Connection.Broken)
                    {
                        return RelayEnd.TargetClosed;
                    }
                    start += Math.Max(0, sent);
                    target.SetDeadline(timeoutMs);
                    if (start < finish && (wait = await target.WaitForSpaceAsync()) != WaitResult.Ready)
                    {
                        return wait == WaitResult.TimedOut ? RelayEnd.TargetTimedOut : RelayEnd.Canceled;
                    }
                }
                if (end != RelayEnd.Done)
                {
                    return end;
                }
                if (!source.MayHaveData)
                {
                    ReturnBuffer();
                }
            }
            return RelayEnd.Done;
        }
        finally
        {
            ReturnBuffer();
        }
    }

    /// <summary>Reads once, decodes and frames in place. The framed bytes, if any, must be sent whatever is
    /// returned.</summary>
    private RelayEnd ReadPiece(bool chunked, Excess onExcess, out int start, out int length)
    {
        // Small pieces use a buffer that is in the processor's cache; a stream that fills it gets a large one.
        if (_fills && _buffer is { Length: < BufferPool.Large })
        {
            ReturnBuffer();
        }
        _buffer ??= loop.Buffers.Rent(_fills ? BufferPool.Large : BufferPool.Medium);
        Span<byte> buffer = _buffer;
        Span<byte> room = buffer[BodyWriter.ChunkHeadRoom..^BodyWriter.Behind];
        start = length = 0;

        int count = source.TryReceive(room);
        if (count == Connection.WouldBlock)
        {
            return RelayEnd.Done;
        }
        if (count <= 0)
        {
            bool ended = count == 0 && _body.End();
            if (ended && chunked)
            {
                start = BodyWriter.Wrap(buffer, BodyWriter.ChunkHeadRoom, 0, last: true, out length);
            }
            return ended ? RelayEnd.Done : RelayEnd.SourceClosed;
        }

        _fills = count == room.Length;
        int payload = _body.Read(room[..count], room, out int consumed);
        if (_body.Fault != HttpFault.None)
        {
            return RelayEnd.BodyInvalid;
        }
        if (consumed < count)
        {
            onExcess(room[consumed..count]);
        }
        PayloadBytes += payload;
        if (chunked)
        {
            start = BodyWriter.Wrap(buffer, BodyWriter.ChunkHeadRoom, payload, _body.Done, out length);
        }
        else
        {
            start = BodyWriter.ChunkHeadRoom;
            length = payload;
        }
        return RelayEnd.Done;
    }

    /// <summary>Milliseconds until the source has been silent for too long, or too slow on average. Only time spent
    /// waiting for the source counts, because the target may be slow, too.</summary>
    private long NextWaitMs() => !_rateApplies ? timeoutMs
        : Math.Clamp(GraceMs + (PayloadBytes * 1000 / minBytesPerSecond) - _waitedMs, 1, timeoutMs);

    private void SetSourceDeadline()
    {
        if (AwaitsLeave)
        {
            source.ClearDeadline(); // the response that it waits for has a deadline
        }
        else
        {
            source.SetDeadline(NextWaitMs());
        }
    }

    private void ReturnBuffer()
    {
        if (_buffer is not null)
        {
            loop.Buffers.Return(_buffer);
            _buffer = null;
        }
    }
}
