using System.Net;
using System.Text;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;

namespace Penstock.UnitTests.Http1;

/// <summary>Processes the bytes of one client connection without sockets: parses, reads and writes them in the same
/// order as a connection.</summary>
/// <param name="Forwarded">Each request that a backend would see whole: its head, then its decoded body.</param>
/// <param name="Fault">Why the connection ended; None when all was used up or more bytes are awaited.</param>
/// <param name="Rest">Bytes that belong to no whole request.</param>
internal sealed record RequestRun(IReadOnlyList<string> Forwarded, HttpFault Fault, int Rest)
{
    private static readonly ClientAddress Peer = new(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 1), 64);

    /// <param name="step">How many bytes come at a time.</param>
    public static RequestRun Of(ReadOnlySpan<byte> bytes, int step)
    {
        List<string> forwarded = [];
        while (!bytes.IsEmpty)
        {
            var exchange = new Exchange(HeadBounds.Default) { RequestId = "id"u8 };
            if (Parse(exchange.Request, bytes, step) != ParseStatus.Complete)
            {
                return new RequestRun(forwarded, exchange.Request.Fault, bytes.Length);
            }
            int length = exchange.Request.Length;
            var body = new BodyReader(exchange.Request.Framing, exchange.Request.ContentLength);
            string payload = Read(ref body, bytes[length..], step, out int consumed);
            if (!body.Done)
            {
                return new RequestRun(forwarded, body.Fault, bytes.Length);
            }
            forwarded.Add(Write(exchange, bytes[..length]) + payload);
            bytes = bytes[(length + consumed)..];
        }
        return new RequestRun(forwarded, HttpFault.None, 0);
    }

    /// <summary>Parses growing prefixes until one decides.</summary>
    public static ParseStatus Parse(MessageHead head, ReadOnlySpan<byte> bytes, int step)
    {
        ParseStatus status = ParseStatus.Incomplete;
        for (int seen = 0; status == ParseStatus.Incomplete && seen < bytes.Length;)
        {
            seen = Math.Min(seen + step, bytes.Length);
            status = head.Parse(bytes[..seen]);
        }
        return status;
    }

    private static string Read(ref BodyReader body, ReadOnlySpan<byte> source, int step, out int consumed)
    {
        var payload = new StringBuilder();
        Span<byte> target = new byte[source.Length];
        consumed = 0;
        while (!body.Done && body.Fault == HttpFault.None && consumed < source.Length)
        {
            ReadOnlySpan<byte> piece = source.Slice(consumed, Math.Min(step, source.Length - consumed));
            payload.Append(Bytes.Text(target[..body.Read(piece, target, out int used)]));
            consumed += used;
        }
        return payload.ToString();
    }

    private static string Write(Exchange exchange, ReadOnlySpan<byte> head)
    {
        byte[] room = new byte[(2 * head.Length) + 1024];
        var to = new HeadWriter(room);
        RequestWriter.Write(ref to, exchange, head, Peer);
        return Bytes.Text(room.AsSpan(0, to.Length));
    }
}
