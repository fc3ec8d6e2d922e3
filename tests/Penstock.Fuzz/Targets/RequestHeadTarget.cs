using System.Net;
using System.Text;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>All bytes of a client connection: requests and their bodies one after the other, each forwarded, in the
/// order in which a connection does it.</summary>
internal sealed class RequestHeadTarget : FuzzTarget
{
    /// <summary>The forwarded request may be a little larger than the received one.</summary>
    private static readonly HeadBounds Wide = new(64 * 1024, 128 * 1024, 300);
    private static readonly ClientAddress Peer = new(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 1), 64);

    private readonly byte[] _room = new byte[128 * 1024]; // a loop's
    private readonly HashSet<string> _words = new(StringComparer.Ordinal);

    public override string Name => "request-head";
    public override int MaxBytes => 40 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. HostileRequests.All.Select(static r => Bytes.Of(r.Escaped)),
        .. new[]
        {
            @"GET / HTTP/1.1\r\nHost: a\r\n\r\n", @"GET /b?c=d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            @"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
            @"OPTIONS http://a:80 HTTP/1.1\r\nHost: b\r\n\r\n", @"GET http://[::1]?q HTTP/1.1\r\nHost: b\r\n\r\n",
            @"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.1\r\n",
            @"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n",
            @"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            @"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-S\r\nX-S: 1\r\nTE: gzip\r\nX_Request_Id: 2\r\n"
                + @"X-Request-Id: 1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=a\r\n"
                + @"X-Forwarded-Host: c\r\nVia: 1.1 penstock\r\nKeep-Alive: 5\r\nMax-Forwards: 1\r\n\r\n",
        }.Select(Bytes.Of),
        Bytes.Of(@"\x14\n"), // this and the next were findings once
        Encoding.ASCII.GetBytes($"P/ {new string('a', 32_768)}"),
        Encoding.ASCII.GetBytes($"GET /{new string('a', 8192)} HTTP/1.1\r\nHost: a\r\n\r\n"),
        Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\nX: {new string('a', 33_000)}\r\n\r\n"),
        Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{Repeat("a: b\r\n", 100)}\r\n"),
        Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{new string('n', 257)}: b\r\n\r\n"),
        Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{Repeat("Connection: a, b, c, d\r\n", 80)}\r\n"),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            @"\r\n", @"\n", @"\r", " ", @"\t", ":", ",", @"\x00", @"\x0b", @"\x7f", @"\x80", @"\xff", "/", "?", "#",
            "*",
            "http://", "https://a", "//", "[::1]", "a:80", "@", "GET ", "HEAD ", "POST ", "OPTIONS ", "CONNECT ",
            "TRACE ", " HTTP/1.1", " HTTP/1.0", " HTTP/2.0", " HTTP/1.7", @"Host: a\r\n", @"Host: \r\n",
            @"Content-Length: 5\r\n", @"Content-Length: 0\r\n", @"Transfer-Encoding: chunked\r\n", "gzip, ", "chunked",
            @"Connection: close\r\n", @"Connection: keep-alive\r\n", "Connection: upgrade, ", "Connection: ",
            @"Expect: 100-continue\r\n", @"Upgrade: h2c\r\n", @"TE: trailers\r\n", @"Via: 1.1 x\r\n",
            @"Max-Forwards: 1\r\n", @"X-Request-Id: a\r\n", @"X-Forwarded-For: b\r\n", @"X-Forwarded-Proto: c\r\n",
            @"X-Forwarded-Host: d\r\n", @"Forwarded: for=a\r\n", @"Date: x\r\n", "_", "content_length: 5", @"\r\n ",
            @"\r\n\r\n", @"5\r\nhello\r\n", @"0\r\n\r\n", "hello", @"Trailer: x\r\n", @"Keep-Alive: 5\r\n",
            @"GET / HTTP/1.1\r\nHost: a\r\n\r\n", @"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        Random random = RandomFor(input);
        bool trusted = random.Next(2) == 0;
        string? first = null;
        _words.Clear();
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, random))
        {
            string outcome = Walk(input, bytes, trusted);
            first ??= outcome;
            Require(outcome == first, "same however it comes", $"{how}:\n{outcome}\nwhole:\n{first}");
        }
        return new HashSet<string>(_words, StringComparer.Ordinal);
    }

    /// <summary>Everything that a backend or the client can observe.</summary>
    private string Walk(byte[] input, Pieces bytes, bool trusted)
    {
        var outcome = new StringBuilder();
        for (int count = 0; ; count++)
        {
            int start = bytes.Used;
            var exchange = new Exchange(HeadBounds.Default);
            exchange.Reset();
            exchange.RequestId = "id"u8;
            exchange.PeerTrusted = trusted;
            RequestHead request = exchange.Request;
            ParseStatus status = bytes.Parse(request);
            if (status != ParseStatus.Complete)
            {
                _words.Add($"{request.Fault} {status} after {Math.Min(count, 3)}");
                _words.Add($"{request.Fault} behind {Scale(request.Fields.Length)} fields");
                _words.Add($"{request.Fault} behind {LastField(request)}");
                return outcome.Append($"{status} {request.Fault} at {start}").ToString();
            }
            Require(request.Length <= bytes.Here.Length, "consumes what is there", $"{request.Length}");
            byte[] head = input[start..(start + request.Length)];
            bytes.Use(request.Length);

            var body = new BodyReader(request.Framing, request.ContentLength);
            var framed = new List<byte>();
            int payload = bytes.Read(ref body, request.Framing == BodyFraming.Chunked, framed);
            Describe(exchange, body, head, payload);
            if (request.MaxForwards != 0)
            {
                outcome.Append(Forward(exchange, head, body, framed, payload));
            }
            outcome.Append($"\n{body.Done} {body.Fault} {request.KeepAlive} at {bytes.Used}\n");
            if (!body.Done || !request.KeepAlive || (bytes.Here.IsEmpty && !bytes.More()))
            {
                return outcome.ToString();
            }
        }
    }

    /// <summary>Writes the request for the backend, and checks that a backend reads the same request.</summary>
    private string Forward(Exchange exchange, byte[] head, BodyReader body, List<byte> framed, int payload)
    {
        RequestHead request = exchange.Request;
        var to = new HeadWriter(_room);
        RequestWriter.Write(ref to, exchange, head, Peer);
        byte[] sent = _room[..to.Length];

        MessageText text = MessageText.Of(sent);
        string target = request.IsAsterisk ? "*"
            : (request.NeedsSlash ? "/" : "") + Bytes.Text(request.Target.Of(head));
        string method = Bytes.Text(request.MethodName.Of(head));
        Require(text.StartLine == $"{method} {target} HTTP/1.1", "the request line is the same",
            $"{text.StartLine} for {method} {target}");
        string[] expected = [.. Expected(exchange, head).Select(static f => $"{f.Name}: {f.Value}")];
        string[] fields = [.. text.Fields.Select(static f => $"{f.Name}: {f.Value}")];
        Require(fields.SequenceEqual(expected, StringComparer.Ordinal), "the fields are those that go on",
            $"{string.Join('\n', fields)}\n  expected:\n{string.Join('\n', expected)}");

        var again = new RequestHead(Wide);
        Require(again.Parse(sent) == ParseStatus.Complete && again.Length == sent.Length, "it parses again",
            $"{again.Fault}: {Bytes.Escaped(sent)}");
        Require(again.Method == request.Method && again.Framing == request.Framing
            && again.ContentLength == request.ContentLength && again.WantsUpgrade == request.WantsUpgrade
            && again.IsAsterisk == request.IsAsterisk && again.ExpectsContinue == request.ExpectsContinue
            && Bytes.Text(again.Authority.Of(sent)) == text.Fields[0].Value, "it means the same again",
            $"{Bytes.Escaped(sent)}");
        if (body.Fault != HttpFault.None)
        {
            return Bytes.Text(sent);
        }
        if (request.Framing == BodyFraming.Chunked)
        {
            (Verdict verdict, ChunkedReference decoded) = ChunkedReference.Decode([.. framed]);
            Require(decoded.Payload.Count == payload && verdict == (body.Done ? Verdict.Whole : Verdict.Cut),
                "the body is the same", $"{verdict} {Bytes.Escaped([.. framed])}");
            framed = decoded.Payload;
        }
        return Bytes.Text(sent) + Bytes.Text([.. framed]);
    }

    /// <summary>The fields that a backend is to see, in order, from the text alone.</summary>
    private static IEnumerable<(string Name, string Value)> Expected(Exchange exchange, byte[] head)
    {
        RequestHead request = exchange.Request;
        MessageText came = MessageText.Of(head);
        string authority = Bytes.Text(request.Authority.Of(head));
        bool options = request.Method == Method.Options;
        yield return ("Host", authority.Length == 0 ? "localhost" : authority);
        foreach ((string name, string value) in came.ToForward())
        {
            bool kept = name.ToLowerInvariant() switch
            {
                "expect" => request.MinorVersion > 0 && request.Framing != BodyFraming.None,
                "max-forwards" => !options,
                "x-request-id" or "x-forwarded-for" => false,
                "x-forwarded-proto" or "x-forwarded-host" or "forwarded" => exchange.PeerTrusted,
                _ => exchange.PeerTrusted || !MessageText.IsHearsay(name),
            };
            if (kept)
            {
                yield return (name, value);
            }
        }
        if (request.Framing == BodyFraming.Chunked)
        {
            yield return ("Transfer-Encoding", "chunked");
        }
        else if (came.Has("content-length"))
        {
            yield return ("Content-Length", came.Fields.Single(
                static f => MessageText.Same(f.Name, "content-length")).Value);
        }
        string[] before = exchange.PeerTrusted ? [.. came.Fields
            .Where(static f => MessageText.Same(f.Name, "x-forwarded-for") && f.Value.Length > 0)
            .Select(static f => f.Value)] : [];
        yield return ("X-Forwarded-For", string.Join(", ", [.. before, "192.0.2.9"]));
        if (!exchange.PeerTrusted || !came.Has("x-forwarded-proto"))
        {
            yield return ("X-Forwarded-Proto", "http");
        }
        if (authority.Length > 0 && !(exchange.PeerTrusted && came.Has("x-forwarded-host")))
        {
            yield return ("X-Forwarded-Host", authority);
        }
        if (request.WantsUpgrade)
        {
            yield return ("Connection", "Upgrade");
            yield return ("Upgrade", came.Fields.Last(static f => MessageText.Same(f.Name, "upgrade")).Value);
        }
        if (request.MaxForwards > 0)
        {
            yield return ("Max-Forwards", FormattableString.Invariant($"{request.MaxForwards - 1}"));
        }
        yield return ("X-Request-Id", "id");
        yield return ("Via", request.MinorVersion == 0 ? "1.0 penstock" : "1.1 penstock");
    }

    private void Describe(Exchange exchange, BodyReader body, byte[] head, int payload)
    {
        RequestHead request = exchange.Request;
        _words.Add($"{request.Method} 1.{request.MinorVersion} {request.Framing}");
        _words.Add($"asterisk {request.IsAsterisk} slash {request.NeedsSlash} query {request.Query.Length > 0}");
        _words.Add($"keep {request.KeepAlive} upgrade {request.WantsUpgrade} expect {request.ExpectsContinue}");
        _words.Add($"hops {Scale(request.MaxForwards)} trusted {exchange.PeerTrusted}");
        _words.Add($"authority {Scale(request.Authority.Length)}");
        _words.Add($"target {Scale(request.Target.Length)}");
        _words.Add($"body {body.Done} {body.Fault} {Scale(payload)}");
        _words.Add($"fields {Scale(request.Fields.Length)}");
        _words.Add($"bytes {Scale(request.Length)}");
        foreach (ref readonly Field field in request.Fields)
        {
            _words.Add($"{field.Known} nominated {request.IsNominated(head, field)}");
        }
    }

    private static FieldName LastField(RequestHead request) =>
        request.Fields.IsEmpty ? FieldName.Other : request.Fields[^1].Known;

    private static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));
}
