using System.Buffers.Text;

namespace Penstock.Proxy.Http1;

/// <summary>Frames payload for sending: unchanged, or as one chunk per piece. Pure.</summary>
internal static class BodyWriter
{
    /// <summary>Bytes to leave free before payload that <see cref="Wrap"/> frames in place.</summary>
    public const int ChunkHeadRoom = 10;

    /// <summary>Bytes to leave free behind it, for the chunk's end and the last chunk.</summary>
    public const int Behind = 7;

    /// <summary>Takes the bytes of the body from <paramref name="source"/> and writes them with framing.</summary>
    /// <param name="target">Room for the source and the framing.</param>
    /// <returns>Bytes written to the target.</returns>
    public static int Append(ref BodyReader body, ReadOnlySpan<byte> source, Span<byte> target, bool chunked,
        out int consumed, out int payload)
    {
        if (!chunked)
        {
            payload = body.Read(source, target, out consumed);
            return payload;
        }
        payload = body.Read(source, target[ChunkHeadRoom..], out consumed);
        int start = Wrap(target, ChunkHeadRoom, payload, body.Done, out int length);
        target.Slice(start, length).CopyTo(target);
        return length;
    }

    /// <summary>Writes a chunk's framing around payload that is already in <paramref name="buffer"/>.</summary>
    /// <param name="last">This is the end of the body: add the last chunk.</param>
    /// <returns>Where the framed bytes start.</returns>
    public static int Wrap(Span<byte> buffer, int payloadStart, int payload, bool last, out int length)
    {
        int start = payloadStart;
        int end = payloadStart + payload;
        if (payload > 0)
        {
            Span<byte> size = stackalloc byte[8];
            Utf8Formatter.TryFormat(payload, size, out int digits, new System.Buffers.StandardFormat('x'));
            start -= digits + 2;
            size[..digits].CopyTo(buffer[start..]);
            "\r\n"u8.CopyTo(buffer[(start + digits)..]);
            "\r\n"u8.CopyTo(buffer[end..]);
            end += 2;
        }
        if (last)
        {
            "0\r\n\r\n"u8.CopyTo(buffer[end..]);
            end += 5;
        }
        length = end - start;
        return start;
    }
}
