using System.Net;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;

namespace Penstock.Fuzz;

/// <summary>A request head: the same however it arrives, and what is accepted means the same after it was written
/// anew.</summary>
internal sealed class RequestTarget : FuzzTarget
{
    private readonly ClientAddress _peer = new(new IPEndPoint(IPAddress.Loopback, 1), 64);
    private readonly byte[] _written = new byte[256 * 1024];

    public override string Name => "request";

    public override IReadOnlyList<byte[]> Seeds { get; } = Octets(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x?y=z HTTP/1.1\r\nHost: a.b:80\r\nContent-Length: 3\r\nConnection: close, X\r\nX: 1\r\n\r\nabc",
        "PUT http://[::1]:8/p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            + "Expect: 100-continue\r\n\r\n0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "GET http://a?b HTTP/1.0\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.1 x\r\nX_Forwarded_For: y\r\n\r\n");

    public override IReadOnlyList<byte[]> Words { get; } = Octets(
        "\r\n", "\n", "\r", " ", "\t", ":", ",", "\0", "%00",
        "http://",
        "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "Host: ", "Content-Length: ", "Transfer-Encoding: ", "chunked",
        "Connection: ",
        "close", "keep-alive", "upgrade", "Upgrade: ", "Expect: 100-continue", "OPTIONS", "TRACE",
        "CONNECT", "*", "?", "#",
        "18446744073709551616", "00", "-1", "\x85", "\xff", "X_Y: ", "TE: trailers", "\r\n\r\n", "\r\n ");

    public override long Run(byte[] input, Random random)
    {
        var whole = new RequestHead();
        ParseStatus status = whole.Parse(input);
        var pieces = new RequestHead();
        ParseStatus inPieces = ParseStatus.Incomplete;
        for (int length = 0; length < input.Length && inPieces == ParseStatus.Incomplete;)
        {
            length = Math.Min(input.Length, length + random.Next(1, 9));
            inPieces = pieces.Parse(input.AsSpan(0, length));
        }
        Promise(status == inPieces && whole.Fault == pieces.Fault && whole.Length == pieces.Length,
            $"whole {status} {whole.Fault}, in pieces {inPieces} {pieces.Fault}");
        if (status != ParseStatus.Complete)
        {
            return HashCode.Combine(status, whole.Fault);
        }

        var exchange = new Exchange(HeadBounds.Default) { RequestId = "id"u8 };
        ParseStatus again = exchange.Request.Parse(input);
        Promise(again == ParseStatus.Complete, "a second parser disagrees");
        var writer = new HeadWriter(_written);
        RequestWriter.Write(ref writer, exchange, input.AsSpan(0, whole.Length), _peer);
        ReadOnlySpan<byte> forwarded = _written.AsSpan(0, writer.Length);
        var read = new RequestHead(new HeadBounds(64 * 1024, 128 * 1024, 200));
        Promise(read.Parse(forwarded) == ParseStatus.Complete && read.Length == forwarded.Length,
            $"what is forwarded is not one request: {read.Fault}");
        ReadOnlySpan<byte> head = input;
        Promise(read.Framing == whole.Framing && read.Method == whole.Method
            && (read.Framing != BodyFraming.Length || read.ContentLength == whole.ContentLength),
            "the framing changed");
        Promise(read.PathOf(forwarded).SequenceEqual(whole.PathOf(head))
            && read.Query.Of(forwarded).SequenceEqual(whole.Query.Of(head)), "path or query changed");
        Promise(whole.Authority.Length == 0
            || read.Authority.Of(forwarded).SequenceEqual(whole.Authority.Of(head)), "the authority changed");
        return HashCode.Combine(whole.Framing, whole.Method, whole.MinorVersion, whole.Fields.Length,
            whole.KeepAlive,
            whole.WantsUpgrade, HashCode.Combine(whole.IsAsterisk, whole.NeedsSlash, whole.ExpectsContinue,
                whole.Fields.Length == 0 ? FieldName.Other : whole.Fields[^1].Known));
    }
}

/// <summary>A response head, likewise.</summary>
internal sealed class ResponseTarget : FuzzTarget
{
    private readonly byte[] _written = new byte[256 * 1024];

    public override string Name => "response";

    public override IReadOnlyList<byte[]> Seeds { get; } = Octets(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204\r\nDate: x\r\nConnection: Date\r\n\r\n",
        "HTTP/1.0 302 Found elsewhere\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");

    public override IReadOnlyList<byte[]> Words { get; } = Octets(
        "\r\n", "\n", " ", "HTTP/1.1 ", "HTTP/1.0 ", "100", "204",
        "304",
        "Content-Length: ", "Transfer-Encoding: chunked", "Connection: close", "keep-alive", "99999999999999999999",
        "\0",
        "\r\n\r\n", "\r\n ", "X-Request-Id: 1", "RateLimit: x", ":");

    public override long Run(byte[] input, Random random)
    {
        var whole = new ResponseHead();
        ParseStatus status = whole.Parse(input);
        var pieces = new ResponseHead();
        ParseStatus inPieces = ParseStatus.Incomplete;
        for (int length = 0; length < input.Length && inPieces == ParseStatus.Incomplete;)
        {
            length = Math.Min(input.Length, length + random.Next(1, 9));
            inPieces = pieces.Parse(input.AsSpan(0, length));
        }
        Promise(status == inPieces && whole.Fault == pieces.Fault && whole.Length == pieces.Length,
            $"whole {status} {whole.Fault}, in pieces {inPieces} {pieces.Fault}");
        if (status != ParseStatus.Complete)
        {
            return HashCode.Combine(status, whole.Fault);
        }
        var exchange = new Exchange(HeadBounds.Default) { RequestId = "id"u8 };
        exchange.Response.Parse(input);
        bool chunked = whole.Framing is BodyFraming.Chunked or BodyFraming.UntilClose;
        var writer = new HeadWriter(_written);
        ResponseWriter.Write(ref writer, exchange, input.AsSpan(0, whole.Length), "date"u8, keepAlive: true, chunked);
        var read = new ResponseHead(new HeadBounds(64 * 1024, 128 * 1024, 200));
        Promise(whole.IsInterim || read.Parse(_written.AsSpan(0, writer.Length)) == ParseStatus.Complete,
            $"what the client gets is not one response: {read.Fault}");
        Promise(whole.IsInterim || (read.Status == whole.Status
            && read.Framing == (chunked ? BodyFraming.Chunked : whole.Framing)), "status or framing changed");
        return HashCode.Combine(whole.Status / 100, whole.Framing, whole.KeepAlive, whole.Fields.Length,
            whole.MinorVersion);
    }
}

/// <summary>A chunked body: the same in any pieces, in place or not, and as a plain decoder reads it.</summary>
internal sealed class ChunkedTarget : FuzzTarget
{
    public override string Name => "chunked";

    public override IReadOnlyList<byte[]> Seeds { get; } = Octets(
        "5\r\nhello\r\n0\r\n\r\n", "a;x=y;z=\"q\\\"\"\r\n0123456789\r\n1\r\nx\r\n0\r\nT: v\r\n\r\nrest", "0\r\n\r\n");

    public override IReadOnlyList<byte[]> Words { get; } = Octets(
        "\r\n", "\n", "\r", "0", "1", "ffffffffffffffff", ";",
        "=", "\"",
        "\\", "0\r\n\r\n", "A: b\r\n", " ", "5\r\nhello\r\n", "\0", "0x1", "-1");

    public override long Run(byte[] input, Random random)
    {
        var whole = new BodyReader(BodyFraming.Chunked, -1);
        byte[] payload = new byte[input.Length];
        int written = whole.Read(input, payload, out int consumed);
        Promise(consumed <= input.Length && written <= consumed, "more came out than went in");

        var pieces = new BodyReader(BodyFraming.Chunked, -1);
        byte[] place = [.. input];
        int at = 0;
        int kept = 0;
        while (at < input.Length && !pieces.Done && pieces.Fault == HttpFault.None)
        {
            Span<byte> piece = place.AsSpan(at, Math.Min(random.Next(1, 9), input.Length - at));
            int part = pieces.Read(piece, piece, out int used);
            piece[..part].CopyTo(place.AsSpan(kept));
            kept += part;
            at += used;
        }
        Promise(pieces.Done == whole.Done && pieces.Fault == whole.Fault && at == consumed,
            $"whole {whole.Done} {whole.Fault} {consumed}, in pieces {pieces.Done} {pieces.Fault} {at}");
        Promise(whole.Fault != HttpFault.None || place.AsSpan(0, kept).SequenceEqual(payload.AsSpan(0, written)),
            "the payload differs in pieces");
        if (whole.Done)
        {
            Promise(Plain(input.AsSpan(0, consumed)).AsSpan().SequenceEqual(payload.AsSpan(0, written)),
                "a plain decoder reads otherwise");
            byte[] framed = new byte[written + 64];
            var body = new BodyReader(BodyFraming.Length, written);
            int length = BodyWriter.Append(ref body, payload.AsSpan(0, written), framed, chunked: true, out _, out _);
            Promise(written == 0
                || Plain(framed.AsSpan(0, length)).AsSpan().SequenceEqual(payload.AsSpan(0, written)),
                "what is written is not what was read");
        }
        return HashCode.Combine(whole.Done, whole.Fault, Math.Min(written, 8));
    }

    /// <summary>For bodies that are known to be valid.</summary>
    private static byte[] Plain(ReadOnlySpan<byte> octets)
    {
        var payload = new List<byte>();
        while (true)
        {
            int end = octets.IndexOf("\r\n"u8);
            ReadOnlySpan<byte> line = octets[..end];
            int extension = line.IndexOf((byte)';');
            int size = int.Parse(extension < 0 ? line : line[..extension],
                System.Globalization.NumberStyles.AllowHexSpecifier, null);
            if (size == 0)
            {
                return [.. payload];
            }
            payload.AddRange(octets.Slice(end + 2, size));
            octets = octets[(end + 2 + size + 2)..];
        }
    }
}
