using Penstock.Proxy.Http1;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>Bytes behind a head that says <c>Transfer-Encoding: chunked</c>.</summary>
internal sealed class ChunkedBodyTarget : FuzzTarget
{
    private sealed record Outcome(Verdict Verdict, HttpFault Fault, int Used, byte[] Payload)
    {
        public string Text => $"{Verdict} {Fault} after {Used}: {Bytes.Escaped(Payload)}";
    }

    public override string Name => "chunked-body";
    public override int MaxBytes => 12 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            @"0\r\n\r\n", @"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", @"1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",
            @"5;a; b = ""x;\x5c""y\x5c\x5c"" ;c\r\nhello\r\n0;last\r\n\r\n", @"000000000000005\r\nhello\r\n000\r\n\r\n",
            @"5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 3\r\nEmpty:\r\n\r\n", @"fffffffffffffff\r\nx",
        }.Select(Bytes.Of),
        .. HostileRequests.All.Select(static r => Bytes.Of(r.Escaped)).Select(BodyOf)
            .Where(static b => b.Length > 0),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            @"\r\n", @"\n", @"\r", @"0\r\n\r\n", @"0\r\n", ";", "=", "\"", @"\x5c", " ", @"\t", @"\x00", ":", "5", "0",
            @"5\r\nhello\r\n", @"1\r\n", "a=b", ";a=\"b\"", @"X: y\r\n", @"Content-Length: 5\r\n", "0x", "-1",
            @"\xff", "fffffffffffffff", "0000000000000000",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        (Verdict verdict, ChunkedReference reference) = ChunkedReference.Decode(input);
        byte[] payload = [.. reference.Payload];
        Random random = RandomFor(input);
        var outcome = default(Outcome);
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, random))
        {
            outcome = Read(bytes, out List<byte> framed);
            Require(outcome.Verdict == verdict && outcome.Used == reference.Used
                && outcome.Payload.AsSpan().SequenceEqual(payload), "same as the reference",
                $"{how}: {outcome.Text}\n  reference: {verdict} after {reference.Used}: {Bytes.Escaped(payload)}");
            RequireSame(framed, payload, verdict);
        }
        RequireInPlace(input, outcome!, random);
        RequireBound(input, payload.Length, random);
        return
        [
            $"{outcome!.Verdict} {outcome.Fault}", $"chunks {Scale(reference.Chunks)} {outcome.Verdict}",
            $"payload {Scale(payload.Length)}", $"rest {Scale(input.Length - outcome.Used)} {outcome.Fault}",
            $"used {Scale(outcome.Used)} {outcome.Fault}", $"around {Around(input, outcome.Used)} {outcome.Verdict}",
        ];
    }

    /// <summary>The kinds of the two bytes before the end of what was used.</summary>
    private static string Around(byte[] input, int used) =>
        string.Concat(input.Take(used).TakeLast(2).Select(static b => (char)b switch
        {
            '\r' => "CR",
            '\n' => "LF",
            ';' or '"' or '\\' or ':' or '=' => ((char)b).ToString(),
            var c when char.IsAsciiHexDigit(c) => "hex",
            var c => Grammar.Token.Contains((byte)c) ? "token" : c is ' ' or '\t' ? "space" : "other",
        }));

    /// <summary>Reads as a body is forwarded: decoded, and framed as chunks again.</summary>
    private static Outcome Read(Pieces bytes, out List<byte> framed)
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        var payload = new List<byte>();
        framed = [];
        byte[] room = [];
        while (!body.Done && body.Fault == HttpFault.None && (!bytes.Here.IsEmpty || bytes.More()))
        {
            int here = bytes.Here.Length;
            int needed = BodyWriter.ChunkHeadRoom + here + BodyWriter.Behind;
            room = room.Length < needed ? new byte[needed] : room;
            Span<byte> target = room.AsSpan(BodyWriter.ChunkHeadRoom, here);
            room.AsSpan(BodyWriter.ChunkHeadRoom + here).Fill(0xA5);
            int read = body.Read(bytes.Here, target, out int consumed);
            Require(consumed <= here && read <= consumed, "consumes what is there", $"{consumed} of {here}");
            Require(!room.AsSpan(BodyWriter.ChunkHeadRoom + here).ContainsAnyExcept((byte)0xA5), "writes into its room",
                $"{read} bytes");
            payload.AddRange(room.AsSpan(BodyWriter.ChunkHeadRoom, read));
            bytes.Use(consumed);
            int start = BodyWriter.Wrap(room, BodyWriter.ChunkHeadRoom, read, body.Done, out int length);
            framed.AddRange(room.AsSpan(start, length));
        }
        Verdict verdict = body.Fault != HttpFault.None ? Verdict.Wrong : body.Done ? Verdict.Whole : Verdict.Cut;
        return new Outcome(verdict, body.Fault, bytes.Used, [.. payload]);
    }

    /// <summary>The output decodes to the same payload as the input, and is complete exactly if the input is.</summary>
    private static void RequireSame(List<byte> framed, byte[] payload, Verdict verdict)
    {
        (Verdict again, ChunkedReference sent) = ChunkedReference.Decode([.. framed]);
        Require(again == (verdict == Verdict.Whole ? Verdict.Whole : Verdict.Cut)
            && sent.Payload.SequenceEqual(payload) && sent.Used == framed.Count, "framed anew it is the same body",
            $"{again}: {Bytes.Escaped([.. framed])}");
    }

    private static void RequireInPlace(byte[] input, Outcome expected, Random random)
    {
        byte[] buffer = [.. input];
        var body = new BodyReader(BodyFraming.Chunked, -1);
        var payload = new List<byte>();
        int at = 0;
        while (at < input.Length && !body.Done && body.Fault == HttpFault.None)
        {
            Span<byte> piece = buffer.AsSpan(at, Math.Min(buffer.Length - at, 1 + random.Next(64)));
            int read = body.Read(piece, piece, out int consumed);
            payload.AddRange(piece[..read]);
            at += consumed;
        }
        Require(payload.SequenceEqual(expected.Payload) && at == expected.Used && body.Fault == expected.Fault,
            "same in place", $"{body.Fault} after {at}: {Bytes.Escaped([.. payload])}");
    }

    private static void RequireBound(byte[] input, int payload, Random random)
    {
        int bound = 1 + random.Next(2 * payload + 2);
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, random))
        {
            var body = new BodyReader(BodyFraming.Chunked, -1, bound);
            int read = bytes.Read(ref body, chunked: true, []);
            Require(body.Fault == HttpFault.BodyTooLarge == payload > bound, "bound is kept",
                $"{how}: {read} of {payload}, bound {bound}, {body.Fault}");
        }
    }

    private static byte[] BodyOf(byte[] message)
    {
        int end = message.AsSpan().IndexOf("\r\n\r\n"u8);
        return end < 0 ? [] : message[(end + 4)..];
    }
}
