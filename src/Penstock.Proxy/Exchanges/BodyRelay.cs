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

    /// <summary>We ended it ourselves.</summary>
    Canceled,
}

/// <summary>Carries the rest of one body from one connection to another, a buffer at a time: nothing is read before the
/// last piece is sent, so a slow reader slows the writer down and memory stays one buffer. No buffer is held while
/// waiting for the source. One use; not thread-safe.</summary>
internal sealed class BodyRelay(Loop loop, Connection source, Connection target, long timeoutMs,
    int minBytesPerSecond = 0)
{
    /// <summary>How long a body may be slower than the least rate; Kestrel's default.</summary>
    private const long GraceMs = 5000;

    private BodyReader _body;
    private byte[]? _buffer;
    private bool _fills;
    private long _waitedMs;
    private long _waitBeganMs;
    private bool _rateApplies = minBytesPerSecond > 0;

    /// <summary>What was read behind the end of the body; valid inside <c>onExcess</c> only.</summary>
    public delegate void Excess(ReadOnlySpan<byte> bytes);

    /// <summary>Bytes of payload passed on.</summary>
    public long PayloadBytes { get; private set; }
    public HttpFault Fault => _body.Fault;
    public bool BodyDone => _body.Done;

    /// <summary>The source waits for leave to send (<c>Expect: 100-continue</c>): until it has that, or sends all the
    /// same, none of its silence counts.</summary>
    public bool AwaitsLeave { get; set; }

    /// <summary>The source may send now.</summary>
    public void GiveLeave()
    {
        if (AwaitsLeave)
        {
            AwaitsLeave = false;
            RestartWait();
        }
    }

    /// <summary>From now on the source may be as slow as it likes, if only something moves in either direction: the
    /// answer has begun, and what the source says next may depend on it.</summary>
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

    /// <param name="body">Where the body stands.</param>
    /// <param name="chunked">Frame it as chunks on the way out.</param>
    /// <param name="onExcess">Given what came with the body but does not belong to it.</param>
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

    /// <summary>Reads once, decodes and frames in place. The framed bytes, if any, are to be sent whatever is
    /// returned.</summary>
    private RelayEnd ReadPiece(bool chunked, Excess onExcess, out int start, out int length)
    {
        // Small pieces stay in a buffer that is warm; a stream that fills it earns a large one.
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

    /// <summary>Until the source has been silent for too long, or too slow on the whole. Only time spent waiting for it
    /// counts: it cannot help a slow target.</summary>
    private long NextWaitMs() => !_rateApplies ? timeoutMs
        : Math.Clamp(GraceMs + (PayloadBytes * 1000 / minBytesPerSecond) - _waitedMs, 1, timeoutMs);

    private void SetSourceDeadline()
    {
        if (AwaitsLeave)
        {
            source.ClearDeadline(); // whoever is to give it has a deadline
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
