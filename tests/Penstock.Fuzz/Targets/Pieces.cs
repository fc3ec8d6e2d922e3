using Penstock.Proxy.Http1;

namespace Penstock.Fuzz.Targets;

/// <summary>Bytes that arrive in pieces, as from a socket: whole, one by one, or in random lengths.</summary>
internal sealed class Pieces(byte[] bytes, Random? random, int step)
{
    private const int MaxRandomPiece = 24;
    private int _seen;

    /// <summary>The same input in the ways that it may come.</summary>
    public static IEnumerable<(string How, Pieces Bytes)> Ways(byte[] bytes, Random random)
    {
        yield return ("whole", new Pieces(bytes, null, bytes.Length));
        yield return ("byte by byte", new Pieces(bytes, null, 1));
        yield return ("in random pieces", new Pieces(bytes, random, 0));
    }

    /// <summary>The bytes that have arrived and are not yet used.</summary>
    public ReadOnlySpan<byte> Here => bytes.AsSpan(Used, _seen - Used);

    /// <summary>Bytes used.</summary>
    public int Used { get; private set; }

    public void Use(int count) => Used += count;

    /// <summary>Waits for the next piece; false when there is none.</summary>
    public bool More()
    {
        if (_seen == bytes.Length)
        {
            return false;
        }
        int piece = random is null ? step : 1 + random.Next(MaxRandomPiece);
        _seen = Math.Min(bytes.Length, _seen + piece);
        return true;
    }

    /// <summary>Parses until there is a result or no more bytes.</summary>
    public ParseStatus Parse(MessageHead head)
    {
        ParseStatus status = Here.IsEmpty ? ParseStatus.Incomplete : head.Parse(Here);
        while (status == ParseStatus.Incomplete && More())
        {
            status = head.Parse(Here);
        }
        return status;
    }

    /// <summary>Reads a body, framed anew as it goes.</summary>
    /// <param name="framed">Gets what is sent on.</param>
    /// <param name="chunked">Frame it in chunks.</param>
    /// <returns>Bytes of payload.</returns>
    public int Read(ref BodyReader body, bool chunked, List<byte> framed)
    {
        int total = 0;
        byte[] room = [];
        while (!body.Done && body.Fault == HttpFault.None && (!Here.IsEmpty || More()))
        {
            int needed = Here.Length + BodyWriter.ChunkHeadRoom + BodyWriter.Behind;
            room = room.Length < needed ? new byte[needed] : room;
            int length = BodyWriter.Append(ref body, Here, room, chunked, out int consumed, out int payload);
            FuzzTarget.Require(consumed <= Here.Length && payload <= consumed, "consumes what is there",
                $"{consumed} of {Here.Length}, {payload} of payload");
            Use(consumed);
            total += payload;
            if (body.Fault == HttpFault.None)
            {
                framed.AddRange(room.AsSpan(0, length));
            }
        }
        return total;
    }
}
