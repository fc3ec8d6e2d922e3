using Penstock.Proxy.Http1;
using Xunit;

namespace Penstock.UnitTests.Http1;

public sealed class BodyWriterTests
{
    [Theory]
    [InlineData(5, false, "5\r\naaaaa\r\n")]
    [InlineData(5, true, "5\r\naaaaa\r\n0\r\n\r\n")]
    [InlineData(0, false, "")]
    [InlineData(0, true, "0\r\n\r\n")]
    [InlineData(0x1F, false, "1f\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")]
    public void Wrap_frames_payload_in_place(int payload, bool last, string framed)
    {
        byte[] buffer = new byte[BodyWriter.ChunkHeadRoom + payload + BodyWriter.Behind];
        buffer.AsSpan(BodyWriter.ChunkHeadRoom, payload).Fill((byte)'a');

        int start = BodyWriter.Wrap(buffer, BodyWriter.ChunkHeadRoom, payload, last, out int length);

        Assert.Equal(framed, Bytes.Text(buffer.AsSpan(start, length)));
    }

    [Fact]
    public void Wrap_largest_payload_fits_its_margins()
    {
        const int payload = 0x0FFFFF;
        byte[] buffer = new byte[BodyWriter.ChunkHeadRoom + payload + BodyWriter.Behind];
        int start = BodyWriter.Wrap(buffer, BodyWriter.ChunkHeadRoom, payload, true, out int length);
        Assert.True(start >= 0);
        Assert.Equal(buffer.Length, start + length);
    }

    [Fact]
    public void Append_of_chunks_frames_them_anew_as_one()
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        byte[] source = Bytes.Of(@"2;ext\r\nab\r\n3\r\ncde\r\n0\r\nTrailer: x\r\n\r\nGET /");
        byte[] target = new byte[source.Length + BodyWriter.ChunkHeadRoom + BodyWriter.Behind];

        int length = BodyWriter.Append(ref body, source, target, true, out int consumed, out int payload);

        Assert.Equal("5\r\nabcde\r\n0\r\n\r\n", Bytes.Text(target.AsSpan(0, length)));
        Assert.Equal(source.Length - "GET /".Length, consumed);
        Assert.Equal(5, payload);
    }

    [Fact]
    public void Append_not_chunked_is_the_payload_alone()
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        byte[] target = new byte[64];
        int length = BodyWriter.Append(ref body, "2\r\nab\r\n0\r\n\r\n"u8, target, false, out _, out int payload);
        Assert.Equal("ab", Bytes.Text(target.AsSpan(0, length)));
        Assert.Equal(2, payload);
    }

    [Fact]
    public void Append_with_no_payload_yet_writes_nothing()
    {
        var body = new BodyReader(BodyFraming.Chunked, -1);
        Assert.Equal(0, BodyWriter.Append(ref body, "2"u8, new byte[64], true, out int consumed, out _));
        Assert.Equal(1, consumed);
    }
}
