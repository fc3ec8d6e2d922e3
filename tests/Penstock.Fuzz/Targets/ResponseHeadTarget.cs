using System.Globalization;
using System.Text;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>All bytes that a backend sends until it closes: interim responses, a response, its body, and bytes that do
/// not belong to it.</summary>
internal sealed class ResponseHeadTarget : FuzzTarget
{
    private static readonly HeadBounds Wide = new(64 * 1024, 128 * 1024, 300);

    private readonly byte[] _room = new byte[128 * 1024]; // a loop's
    private readonly HashSet<string> _words = new(StringComparer.Ordinal);

    public override string Name => "response-head";
    public override int MaxBytes => 40 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            @"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", @"HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
            @"HTTP/1.1 299\r\n\r\n", @"HTTP/1.7 599 \xe9\tx\r\n\r\n", @"HTTP/1.1 204 No Content\r\n\r\n",
            @"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: ""x""\r\n\r\n",
            @"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nextra",
            @"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\n"
                + @"\r\n",
            @"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
            @"HTTP/1.1 200 OK\r\nConnection: close, X-S\r\nX-S: 1\r\nDate: now\r\nX-Request-Id: 2\r\nVia: 1.1 a\r\n"
                + @"Keep-Alive: timeout=5\r\nX_Request_Id: 3\r\n\r\n",
            @"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            @"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
            @"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", @"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
            @"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n", @"HTTP/1.1 200 OK\nX: 1\n\n", @"HTTP/1.1  200 OK\r\n\r\n",
            @"HTTP/2.0 200 OK\r\n\r\n", @"HTTP/1.1 099 OK\r\n\r\n", @"HTTP/1.1 200 O\x00K\r\n\r\n",
        }.Select(Bytes.Of),
        Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nX: {new string('a', 33_000)}\r\n\r\n"),
        Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{string.Concat(Enumerable.Repeat("a: b\r\n", 101))}\r\n"),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            @"\r\n", @"\n", @"\r", " ", @"\t", ":", ",", @"\x00", @"\x7f", @"\xff", "HTTP/1.1 ", "HTTP/1.0 ",
            @"HTTP/1.1 200 OK\r\n", @"HTTP/1.1 100 Continue\r\n\r\n", @"HTTP/1.1 101 S\r\n", @"HTTP/1.1 204 N\r\n",
            @"HTTP/1.1 304 N\r\n", "100", "101", "103", "199", "200", "204", "304", "599", @"Content-Length: 5\r\n",
            @"Content-Length: 0\r\n", @"Transfer-Encoding: chunked\r\n", "gzip, ", @"Connection: close\r\n",
            @"Connection: keep-alive\r\n", @"Connection: upgrade\r\n", "Connection: ", @"Upgrade: websocket\r\n",
            @"Date: x\r\n", @"Via: 1.1 x\r\n", @"X-Request-Id: a\r\n", @"RateLimit: a\r\n", @"RateLimit-Policy: a\r\n",
            "_", @"Trailer: x\r\n", @"Host: h\r\n", @"\r\n ", @"\r\n\r\n", @"5\r\nhello\r\n", @"0\r\n\r\n", "hello",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        Random random = RandomFor(input);
        int way = random.Next(6);
        (bool toHead, int minor, bool upgrade) = (way == 1, way is 2 or 3 ? 0 : 1, way >= 4);
        byte[] request = Bytes.Of($@"{(toHead ? "HEAD" : "GET")} / HTTP/1.{minor}\r\nHost: a\r\n"
            + (upgrade ? @"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" : @"\r\n"));
        string? first = null;
        _words.Clear();
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, random))
        {
            var exchange = new Exchange(HeadBounds.Default);
            exchange.Reset();
            exchange.RequestId = "id"u8;
            exchange.Request.Parse(request);
            exchange.Response.ToHead = toHead;
            string outcome = Walk(input, bytes, exchange);
            first ??= outcome;
            Require(outcome == first, "same however it comes", $"{how}:\n{outcome}\nwhole:\n{first}");
        }
        return new HashSet<string>(_words, StringComparer.Ordinal);
    }

    /// <summary>Everything that the client can observe.</summary>
    private string Walk(byte[] input, Pieces bytes, Exchange exchange)
    {
        ResponseHead response = exchange.Response;
        var outcome = new StringBuilder();
        while (true)
        {
            int start = bytes.Used;
            ParseStatus status = bytes.Parse(response);
            if (status != ParseStatus.Complete)
            {
                _words.Add($"{status} {response.Fault} after {outcome.Length > 0}");
                _words.Add($"{response.Fault} behind {Scale(response.Fields.Length)} fields");
                return outcome.Append($"{status} {response.Fault} at {start}").ToString();
            }
            Require(response.Length <= bytes.Here.Length, "consumes what is there", $"{response.Length}");
            byte[] head = input[start..(start + response.Length)];
            bytes.Use(response.Length);
            Describe(exchange, head);
            if (response.Status == 101)
            {
                bool switches = response.ConnectionUpgrade && response.Upgrade.Length > 0
                    && exchange.Request.WantsUpgrade;
                return outcome.Append(switches ? Respond(exchange, head, bytes) : "no upgrade").ToString();
            }
            if (!response.IsInterim)
            {
                return outcome.Append(Respond(exchange, head, bytes)).ToString();
            }
            outcome.Append(WriteInterim(exchange, head));
            response.Reset();
        }
    }

    private string WriteInterim(Exchange exchange, byte[] head)
    {
        var to = new HeadWriter(_room);
        ResponseWriter.WriteInterim(ref to, exchange, head);
        RequireSame(exchange.Response, head, _room.AsSpan(0, to.Length), []);
        return Bytes.Text(_room.AsSpan(0, to.Length));
    }

    private string Respond(Exchange exchange, byte[] head, Pieces bytes)
    {
        ResponseHead response = exchange.Response;
        bool oldClient = exchange.Request.MinorVersion == 0;
        bool unframed = response.Framing is BodyFraming.Chunked or BodyFraming.UntilClose;
        bool chunked = unframed && !oldClient;
        var to = new HeadWriter(_room);
        ResponseWriter.Write(ref to, exchange, head, "today"u8, keepAlive: !(unframed && oldClient), chunked);
        byte[] sent = _room[..to.Length];
        RequireSame(response, head, sent, [.. Ours(exchange, head, chunked)]);

        var again = new ResponseHead(Wide) { ToHead = response.ToHead };
        Require(again.Parse(sent) == ParseStatus.Complete && again.Length == sent.Length, "it parses again",
            $"{again.Fault}: {Bytes.Escaped(sent)}");
        BodyFraming framing = chunked ? BodyFraming.Chunked : unframed ? BodyFraming.UntilClose : response.Framing;
        Require(again.Framing == framing && (response.Status == 204 || again.ContentLength == response.ContentLength),
            "it is framed the same", $"{again.Framing}, not {framing}: {Bytes.Escaped(sent)}");

        var body = new BodyReader(response.Framing, response.ContentLength);
        var framed = new List<byte>();
        int payload = bytes.Read(ref body, chunked, framed);
        if (!body.Done && body.Fault == HttpFault.None && body.End() && chunked)
        {
            framed.AddRange("0\r\n\r\n"u8);
        }
        _words.Add($"body {response.Framing} to {framing} {body.Done} {body.Fault} {Scale(payload)}");
        _words.Add($"excess {bytes.More() || !bytes.Here.IsEmpty} {response.Framing}");
        string end = $"\n{body.Done} {body.Fault} {response.KeepAlive} at {bytes.Used}";
        if (body.Fault != HttpFault.None)
        {
            return Bytes.Text(sent) + end;
        }
        if (chunked)
        {
            (Verdict verdict, ChunkedReference decoded) = ChunkedReference.Decode([.. framed]);
            Require(decoded.Payload.Count == payload && verdict == (body.Done ? Verdict.Whole : Verdict.Cut),
                "the body is the same", $"{verdict} {Bytes.Escaped([.. framed])}");
            framed = decoded.Payload;
        }
        return Bytes.Text(sent) + Bytes.Text([.. framed]) + end;
    }

    /// <summary>Status, reason and fields are those that came, then <paramref name="ours"/>.</summary>
    private static void RequireSame(ResponseHead response, byte[] head, ReadOnlySpan<byte> sent,
        IReadOnlyList<(string Name, string Value)> ours)
    {
        MessageText came = MessageText.Of(head);
        MessageText went = MessageText.Of(sent);
        string reason = came.StartLine.Length > 13 ? came.StartLine[13..] : "";
        string status = came.StartLine[9..12];
        Require(went.StartLine == $"HTTP/1.1 {status} {reason}" && status == Number(response.Status),
            "the status line is the same", $"{went.StartLine} for {came.StartLine}");
        Require(went.Fields.SequenceEqual([.. came.ToForward(), .. ours]), "the fields are those that go on",
            $"{string.Join('\n', went.Fields)}\n  expected:\n{string.Join('\n', [.. came.ToForward(), .. ours])}");
    }

    private static IEnumerable<(string Name, string Value)> Ours(Exchange exchange, byte[] head, bool chunked)
    {
        ResponseHead response = exchange.Response;
        MessageText came = MessageText.Of(head);
        if (chunked)
        {
            yield return ("Transfer-Encoding", "chunked");
        }
        else if (came.Has("content-length") && response.Status != 204)
        {
            yield return ("Content-Length", Number(response.ContentLength));
        }
        if (!came.ToForward().Any(static f => MessageText.Same(f.Name, "date")))
        {
            yield return ("Date", "today");
        }
        if (!came.ToForward().Any(static f => MessageText.Same(f.Name, "x-request-id")))
        {
            yield return ("X-Request-Id", "id");
        }
        if (response.Status == 101)
        {
            yield return ("Upgrade", came.Fields.Last(static f => MessageText.Same(f.Name, "upgrade")).Value);
            yield return ("Connection", "Upgrade");
        }
        else if (response.Status == 426 && response.Upgrade.Length > 0 && exchange.Request.MinorVersion > 0)
        {
            yield return ("Upgrade", came.Fields.Last(static f => MessageText.Same(f.Name, "upgrade")).Value);
            yield return ("Connection", "Upgrade");
        }
        else if (exchange.Request.MinorVersion == 0)
        {
            bool unframed = response.Framing is BodyFraming.Chunked or BodyFraming.UntilClose;
            yield return ("Connection", unframed ? "close" : "keep-alive");
        }
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private void Describe(Exchange exchange, byte[] head)
    {
        ResponseHead response = exchange.Response;
        _words.Add($"{response.Status / 100} 1.{response.MinorVersion} {response.Framing} head {response.ToHead}");
        _words.Add($"status {(response.Status is 101 or 204 or 304 ? response.Status : 0)} {response.Framing} to 1."
            + $"{exchange.Request.MinorVersion}");
        _words.Add($"keep {response.KeepAlive} upgrade {response.ConnectionUpgrade} {response.Upgrade.Length > 0}");
        _words.Add($"reason {Scale(response.ReasonPhrase.Length)} fields {Scale(response.Fields.Length)}");
        foreach (ref readonly Field field in response.Fields)
        {
            _words.Add($"{field.Known} nominated {response.IsNominated(head, field)} interim {response.IsInterim}");
        }
    }
}
