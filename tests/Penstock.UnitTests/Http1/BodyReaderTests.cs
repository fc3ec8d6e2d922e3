using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class BodyReaderTests
{
    private static readonly FsCheck.Config Quick =
        FsCheck.Config.QuickThrowOnFailure.WithMaxTest(300).WithQuietOnSuccess(true);

    [Fact]
    public void Read_length_takes_so_many_bytes_and_no_more()
    {
        var body = new BodyReader(BodyFraming.Length, 5);
        byte[] target = new byte[16];

        Assert.Equal(3, body.Read("abc"u8, target, out int consumed));
        Assert.Equal(3, consumed);
        Assert.False(body.Done);
        Assert.Equal(2, body.Read("deGET /"u8, target, out consumed));
        Assert.Equal(2, consumed);
        Assert.True(body.Done);
        Assert.Equal("dec", Bytes.Text(target.AsSpan(0, 3)));
        Assert.Equal(0, body.Read("GET /"u8, target, out consumed));
        Assert.Equal(0, consumed);
    }

    [Theory]
    [InlineData(1, 1, true)]
    [InlineData(2, 2, false)]
    [InlineData(10, 10, false)] // an event stream
    [InlineData(1, 60, false)] // a large chunk now and then pays for small ones
    public void Read_chunked_of_a_client_is_rejected_when_it_is_nearly_all_framing(int small, int large, bool rejected)
    {
        var ofClient = new BodyReader(BodyFraming.Chunked, -1, boundsFraming: true);
        var ofBackend = new BodyReader(BodyFraming.Chunked, -1);
        byte[] target = new byte[256];
        int chunks = 0;
        while (ofClient.Fault == HttpFault.None && chunks < 200_000)
        {
            int size = chunks++ % 10 == 0 ? large : small;
            byte[] chunk = Encoding.ASCII.GetBytes($"{size:x}\r\n{new string('x', size)}\r\n");
            ofClient.Read(chunk, target, out _);
            ofBackend.Read(chunk, target, out _);
        }
        Assert.Equal(rejected ? HttpFault.ChunkOverhead : HttpFault.None, ofClient.Fault);
        Assert.Equal(rejected, chunks is > 20_000 and < 21_000);
        Assert.Equal(HttpFault.None, ofBackend.Fault);
    }

    [Fact]
    public void Read_none_is_done_and_takes_nothing()
    {
        var body = new BodyReader(BodyFraming.None, 7);
        Assert.True(body.Done);
        Assert.Equal(0, body.Read("abc"u8, new byte[3], out int consumed));
        Assert.Equal(0, consumed);
    }

    [Fact]
    public void End_ends_only_a_body_until_close()
    {
        var open = new BodyReader(BodyFraming.UntilClose, -1);
        Assert.Equal(3, open.Read("abc"u8, new byte[3], out _));
        Assert.False(open.Done);
        Assert.True(open.End());
        Assert.True(open.Done);

        var chunked = new BodyReader(BodyFraming.Chunked, -1);
        chunked.Read("3\r\nabc\r\n"u8, new byte[8], out _);
        Assert.False(chunked.End());
        Assert.False(new BodyReader(BodyFraming.Length, 1).End());
    }

    [Theory]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", "hello")]
    [InlineData("1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n", "a0123456789")]
    [InlineData("00005\r\nhello\r\n000\r\n\r\n", "hello")]
    [InlineData("5;a;b=c;d=\"q;\\\"\\\r\"\r\nhello\r\n0;x\r\n\r\n", null)]
    [InlineData("5;a; b = \"x;\\\"y\\\\\" ;c\r\nhello\r\n0;last\r\n\r\n", "hello")]
    [InlineData("5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 3\r\nEmpty:\r\n\r\n", "hello")]
    [InlineData("0\r\n\r\n", "")]
    public void Read_chunked_gives_the_payload_at_every_split(string text, string? payload)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        for (int split = 0; split <= bytes.Length; split++)
        {
            var body = new BodyReader(BodyFraming.Chunked, -1);
            byte[] buffer = [.. bytes, .. "GET /"u8];
            int written = body.Read(buffer.AsSpan(0, split), buffer, out int first);
            string got = Bytes.Text(buffer.AsSpan(0, written));
            written = body.Read(buffer.AsSpan(first), buffer.AsSpan(first), out int second);
            got += Bytes.Text(buffer.AsSpan(first, written));

            if (payload is null)
            {
                Assert.Equal(HttpFault.ChunkLineInvalid, body.Fault);
                continue;
            }
            Assert.True(body.Done);
            Assert.Equal(payload, got);
            Assert.Equal(bytes.Length, first + second);
        }
    }

    [Theory]
    [InlineData("5 \r\nhello\r\n0\r\n\r\n", HttpFault.ChunkSizeInvalid)]
    [InlineData(" 5\r\nhello\r\n0\r\n\r\n", HttpFault.ChunkSizeInvalid)]
    [InlineData(";a\r\n", HttpFault.ChunkSizeInvalid)]
    [InlineData("+5\r\nhello", HttpFault.ChunkSizeInvalid)]
    [InlineData("0000000000000005\r\nhello", HttpFault.ChunkSizeInvalid)]
    [InlineData("5;a\u0000\r\nhello", HttpFault.ChunkLineInvalid)]
    [InlineData("5;a=\"\n\"\r\nhello", HttpFault.ChunkLineInvalid)]
    [InlineData("5;a=\"\\\n\"\r\nhello", HttpFault.ChunkLineInvalid)]
    [InlineData("5;a\r\r\nhello", HttpFault.ChunkLineInvalid)]
    [InlineData("5\r\nhello0\r\n\r\n", HttpFault.ChunkDataUnterminated)]
    [InlineData("5\r\nhello\r0\r\n\r\n", HttpFault.ChunkDataUnterminated)]
    [InlineData("0\r\n\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\n\rX", HttpFault.TrailerInvalid)]
    [InlineData("0\r\n: x\r\n\r\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\nA : x\r\n\r\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\nA: x\r\n y\r\n\r\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\nA: x\ny: z\r\n\r\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\nA: \u0000\r\n\r\n", HttpFault.TrailerInvalid)]
    [InlineData("0\r\nA\r\n\r\n", HttpFault.TrailerInvalid)]
    internal void Read_chunked_malformed_is_rejected_at_every_split(string text, HttpFault fault)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        for (int split = 0; split <= bytes.Length; split++)
        {
            var body = new BodyReader(BodyFraming.Chunked, -1);
            byte[] target = new byte[bytes.Length];
            body.Read(bytes.AsSpan(0, split), target, out int consumed);
            body.Read(bytes.AsSpan(consumed), target, out _);
            Assert.Equal(fault, body.Fault);
            Assert.False(body.Done);
        }
    }

    [Fact]
    public void Read_chunked_after_a_fault_gives_nothing_more()
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        body.Read("x"u8, new byte[1], out _);
        Assert.Equal(0, body.Read("5\r\nhello\r\n0\r\n\r\n"u8, new byte[20], out int consumed));
        Assert.Equal(0, consumed);
        Assert.False(body.Done);
    }

    [Theory]
    [InlineData("1;", 4095, "\r\na\r\n0\r\n\r\n", HttpFault.ChunkExtensionTooLong)]
    [InlineData("0\r\nA:", 8187, "\r\n\r\n", HttpFault.TrailerTooLarge)]
    internal void Read_chunked_extras_are_bounded(string before, int most, string after, HttpFault above)
    {
        foreach ((int length, HttpFault fault) in ((int, HttpFault)[])[(most, HttpFault.None), (most + 1, above)])
        {
            var body = new BodyReader(BodyFraming.Chunked, -1);
            byte[] bytes = Encoding.Latin1.GetBytes(before + new string('x', length) + after);
            body.Read(bytes, bytes, out _);
            Assert.Equal(fault, body.Fault);
            Assert.Equal(fault == HttpFault.None, body.Done);
        }
    }

    [Fact]
    public void Read_chunked_extensions_are_bounded_over_the_whole_body()
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        byte[] chunk = Encoding.Latin1.GetBytes("1;" + new string('x', 99) + "\r\na\r\n"); // CR counts, too
        int chunks = 0;
        while (body.Fault == HttpFault.None && chunks < 100)
        {
            body.Read(chunk, new byte[chunk.Length], out _);
            chunks++;
        }
        Assert.Equal(HttpFault.ChunkExtensionTooLong, body.Fault);
        Assert.Equal(41, chunks);
    }

    [Fact]
    public void Read_any_payload_chunked_anyhow_in_any_pieces_gives_the_payload() =>
        Check.One(Quick, Prop.ForAll(
            ArbMap.Default.ArbFor<byte[]>(), Sizes(1, 20), Sizes(1, 9),
            static (payload, chunks, reads) => Assert.Equal(payload, ReadInPieces(Chunk(payload, chunks), reads))));

    [Fact]
    public void Append_then_read_gives_the_payload() =>
        Check.One(Quick, Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), Sizes(1, 12), Sizes(1, 9),
            static (payload, pieces, reads) => Assert.Equal(payload, ReadInPieces(AppendAll(payload, pieces), reads))));

    private static Arbitrary<int[]> Sizes(int least, int most) =>
        Gen.NonEmptyListOf(Gen.Choose(least, most)).Select(static l => l.ToArray()).ToArbitrary();

    private static byte[] Chunk(byte[] payload, int[] sizes)
    {
        List<byte> bytes = [];
        int at = 0;
        for (int i = 0; at < payload.Length; i++)
        {
            byte[] chunk = payload[at..Math.Min(payload.Length, at + sizes[i % sizes.Length])];
            string extension = (i % 3) switch { 0 => "", 1 => ";a=b", _ => ";q=\"x;y\"" };
            string size = chunk.Length.ToString(i % 2 == 0 ? "x" : "X3", CultureInfo.InvariantCulture);
            bytes.AddRange([.. Encoding.ASCII.GetBytes(size + extension + "\r\n"), .. chunk, .. "\r\n"u8]);
            at += chunk.Length;
        }
        return [.. bytes, .. payload.Length % 2 == 0 ? "0\r\n\r\n"u8 : "0\r\nTrailer: x\r\n\r\n"u8];
    }

    /// <summary>Through <see cref="BodyWriter.Append"/>, as a body of known length becomes chunks.</summary>
    private static byte[] AppendAll(byte[] payload, int[] sizes)
    {
        var body = new BodyReader(BodyFraming.Length, payload.Length);
        List<byte> bytes = [];
        Span<byte> target = new byte[64];
        int at = 0;
        for (int i = 0; !body.Done; i++)
        {
            ReadOnlySpan<byte> piece = payload.AsSpan(at, Math.Min(sizes[i % sizes.Length], payload.Length - at));
            int length = BodyWriter.Append(ref body, piece, target, true, out int consumed, out int taken);
            Assert.Equal(consumed, taken);
            at += consumed;
            bytes.AddRange(target[..length]);
        }
        return [.. bytes];
    }

    /// <summary>Decodes in place, a piece at a time.</summary>
    private static byte[] ReadInPieces(byte[] bytes, int[] sizes)
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        List<byte> payload = [];
        int at = 0;
        for (int i = 0; at < bytes.Length; i++)
        {
            Span<byte> piece = bytes.AsSpan(at, Math.Min(sizes[i % sizes.Length], bytes.Length - at));
            int written = body.Read(piece, piece, out int consumed);
            Assert.Equal(piece.Length, consumed);
            payload.AddRange(piece[..written]);
            at += consumed;
        }
        Assert.True(body.Done);
        return [.. payload];
    }
}
