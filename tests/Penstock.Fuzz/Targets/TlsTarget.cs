using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Tls;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>A script for both ends of a TLS session with an attacker between them: it holds bytes back, changes and
/// inserts them, lets sockets fill and break. Each byte is a step: what to do in the lowest four bits, how much in the
/// others. All callbacks of OpenSSL into Penstock run.</summary>
internal sealed class TlsTarget : FuzzTarget
{
    private const int Room = 16 * 1024;

    private static readonly Lazy<(TlsServer Server, TlsClient Client)> Ends = new(static () =>
    {
        TestAuthority authority = TestAuthority.Shared;
        var given = new GivenCertificates([authority.Issue("*.wild.test").Config()],
            [("challenge.test", authority.Issue("challenge.test").Config())]);
        return (
            new(new() { Certificates = [authority.Issue("localhost").Config()] }, given, new TicketKeys()),
            new(new() { Authorities = authority.Text }));
    });

    private static readonly byte[] Complete = [.. Enumerable.Repeat<byte[]>([1, 2, 0, 3], 4).SelectMany(static b => b)];

    public override string Name => "tls";
    public override int MaxBytes => 4 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        Complete,
        [.. Complete, 0x34, 2, 0, 0x15, 3, 1], // data both ways
        [.. Complete, 0xF4, 0x12, 0, 0x22, 0, 0xF2, 0], // a record in pieces
        [.. Complete, 0x34, 0x06, 2, 0], // changed on the way
        [.. Complete, 0x34, 2, 0x09, 2, 0, 0x09, 0], // ends by a close_notify
        [.. Complete, 0x34, 2, 0x0A, 0, 0], // cut
        [.. Complete, 0x0B, 0xF5, 0, 0x1B, 1, 1], // the sockets are full
        [.. Complete, 0x0C, 0xF5, 0, 0x1C, 0x34, 1], // broken
        Insert(Hello("localhost", "http/1.1")), Insert(Hello("a.wild.test", "h2", "http/1.1")),
        Insert(Hello("challenge.test", "acme-tls/1")), Insert(Hello("nobody.test", "acme-tls/1")),
        Insert(Hello("", "h2")), Insert("GET / HTTP/1.1\r\n\r\n"u8.ToArray()),
        Insert([22, 3, 1, 0, 5, 1, 255, 255, 255]),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        Complete, [2, 0], [3, 1], [0x34, 2, 0], [0x35, 3, 1],
        .. new[]
        {
            @"\x16\x03\x01\x00", @"\x16\x03\x03", @"\x17\x03\x03\x00", @"\x15\x03\x03\x00\x02\x01\x00",
            @"\x14\x03\x03\x00\x01\x01", @"\x01\x00\x00", @"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09localhost",
            @"\x00\x10\x00\x0b\x00\x09\x08http/1.1", @"\x00\x10\x00\x0d\x00\x0b\x0aacme-tls/1", @"\x00\x23\x00\x00",
            @"\x00\x29\x00", @"\x00\x2a\x00\x00", @"\x00\x2b\x00\x03\x02\x03\x04", @"\x00\x2b\x00\x03\x02\x03\x03",
        }.Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        (TlsServer acceptor, TlsClient connector) = Ends.Value;
        using var resumption = new TlsResumption();
        OpenSsl.ERR_clear_error();
        HashSet<string> words = [];
        Wires up = new(), down = new();
        var server = new End("server", up, down);
        server.Session = new(acceptor.Default, server);
        var client = new End("client", down, up);
        client.Session = connector.Begin(client, "localhost", resumption);
        try
        {
            for (int i = 0; i < input.Length; i++)
            {
                int amount = input[i] >> 4;
                End end = (amount & 1) == 0 ? server : client;
                switch (input[i] & 0xF)
                {
                    case 0: words.Add(server.Act(client, 1 << amount)); break;
                    case 1: words.Add(client.Act(server, 1 << amount)); break;
                    case 2: up.Deliver(amount == 0 ? int.MaxValue : amount * amount * 4); break;
                    case 3: down.Deliver(amount == 0 ? int.MaxValue : amount * amount * 4); break;
                    case 4: words.Add(client.Send(1 << amount)); break;
                    case 5: words.Add(server.Send(1 << amount)); break;
                    case 6: up.Change(amount); break;
                    case 7: down.Change(amount); break;
                    case 8: i += (amount < 8 ? up : down).Insert(input.AsSpan(i + 1)); break;
                    case 9: end.Finish(); break;
                    case 10: up.Cut(); break;
                    case 11: end.Outgoing.IsFull ^= true; end.Session.TakeSpace(); break;
                    case 12: end.Outgoing.IsBroken = true; break;
                    default: words.Add(end.Peek()); break;
                }
            }
        }
        finally
        {
            server.Session.Free();
            client.Session.Free();
        }
        server.Check("free", isBroken: true);
        return words;
    }

    /// <summary>A step that inserts these bytes on the way to the server, which then takes them.</summary>
    private static byte[] Insert(byte[] bytes) => [8, (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes, 2, 0, 0];

    /// <summary>The first message of a client of TLS 1.3, in a record.</summary>
    private static byte[] Hello(string name, params string[] protocols)
    {
        byte[] names = name.Length == 0 ? [] : Extension(0, Sized(2, [0, .. Sized(2, Encoding.ASCII.GetBytes(name))]));
        byte[] offered = Extension(16, Sized(2,
            [.. protocols.SelectMany(static p => Sized(1, Encoding.ASCII.GetBytes(p)))]));
        byte[] extensions =
        [
            .. names, .. offered, .. Extension(43, [2, 3, 4]), .. Extension(10, [0, 2, 0, 29]),
            .. Extension(13, [0, 2, 4, 3]), .. Extension(51, Sized(2, [0, 29, .. Sized(2, [9, .. new byte[31]])])),
        ];
        byte[] body = [3, 3, .. new byte[32], 0, 0, 2, 0x13, 1, 1, 0, .. Sized(2, extensions)];
        return [22, 3, 1, .. Sized(2, [1, .. Sized(3, body)])];

        static byte[] Extension(int kind, byte[] value) => [(byte)(kind >> 8), (byte)kind, .. Sized(2, value)];
    }

    /// <summary>Bytes after their length.</summary>
    private static byte[] Sized(int lengthBytes, byte[] bytes) =>
        [.. Enumerable.Range(1, lengthBytes).Select(i => (byte)(bytes.Length >> (8 * (lengthBytes - i)))), .. bytes];

    /// <summary>One direction between the ends.</summary>
    private sealed class Wires
    {
        private readonly List<byte> _held = [];
        private readonly Queue<byte> _delivered = new();
        private bool _isCut;

        public bool IsFull { get; set; }
        public bool IsBroken { get; set; }

        public int Take(ReadOnlySpan<byte> bytes)
        {
            if (IsBroken || IsFull)
            {
                return IsBroken ? TlsSession.Broken : TlsSession.WouldBlock;
            }
            int count = Math.Min(bytes.Length, Room);
            _held.AddRange(bytes[..count]);
            return count;
        }

        public int Give(Span<byte> room)
        {
            int count = 0;
            while (count < room.Length && _delivered.TryDequeue(out byte next))
            {
                room[count++] = next;
            }
            return count > 0 ? count : _isCut ? 0 : TlsSession.WouldBlock;
        }

        public void Deliver(int count)
        {
            count = Math.Min(count, _held.Count);
            _held.Take(count).ToList().ForEach(_delivered.Enqueue);
            _held.RemoveRange(0, count);
        }

        public void Cut() => _isCut = true;

        public void Change(int at)
        {
            if (_held.Count > 0)
            {
                _held[at * _held.Count / 16] ^= (byte)(1 << (at & 7));
            }
        }

        /// <returns>How many bytes of the script were used: two for the length, and those that are inserted.</returns>
        public int Insert(ReadOnlySpan<byte> script)
        {
            if (script.Length < 2)
            {
                return script.Length;
            }
            int count = Math.Min((script[0] << 8) | script[1], script.Length - 2);
            _held.AddRange(script.Slice(2, count));
            return 2 + count;
        }
    }

    /// <summary>A session that counts upwards in what it sends, so that its peer knows what must come.</summary>
    private sealed class End(string name, Wires incoming, Wires outgoing) : ITlsTransport
    {
        private bool _broken;
        private bool _finished;
        private long _sent;
        private long _received;

        public TlsSession Session { get; set; } = null!;

        public Wires Outgoing => outgoing;

        public int ReceiveRaw(Span<byte> buffer) => incoming.Give(buffer);

        public int SendRaw(ReadOnlySpan<byte> bytes, bool more) => outgoing.Take(bytes);

        /// <summary>Goes on with the handshake, or receives.</summary>
        public string Act(End peer, int room)
        {
            if (!Session.IsEstablished)
            {
                HandshakeState state = Session.Handshake();
                Check("handshake", state == HandshakeState.Failed);
                Require(Session.IsEstablished == (state == HandshakeState.Done), "done is done", $"{name}: {state}");
                string resumed = Session.IsEstablished && Session.IsResumed ? "resumed" : "";
                return $"{name} {state} {Session.Fault} {resumed}";
            }
            Span<byte> buffer = new byte[room];
            int count = Session.Receive(buffer);
            Check("receive", count == TlsSession.Broken);
            Require(count >= TlsSession.Broken && count <= room, "receives what fits", $"{name}: {count} of {room}");
            for (int i = 0; i < count; i++)
            {
                Require(buffer[i] == (byte)_received++, "receives what was sent", $"{name}: byte {_received}");
            }
            Require(_received <= peer._sent, "receives what was sent", $"{name}: {_received} of {peer._sent}");
            Require(count != 0 || (peer._finished && _received == peer._sent), "an end is the end",
                $"{name}: {_received} of {peer._sent}");
            return $"{name} receives {Scale(count)} {Session.Fault}";
        }

        public string Send(int count)
        {
            if (!Session.IsEstablished || _finished)
            {
                return "";
            }
            byte[] bytes = [.. Enumerable.Range(0, count).Select(i => (byte)(_sent + i))];
            int sent = Session.Send(bytes);
            Check("send", sent == TlsSession.Broken);
            Require(sent >= TlsSession.Broken && sent <= count && sent != 0, "sends what is given", $"{name}: {sent}");
            _sent += Math.Max(0, sent);
            return $"{name} sends {Scale(sent)}";
        }

        public string Peek()
        {
            string told = Session.IsEstablished ? $"{name} peeks {Session.Peek()}" : "";
            Check("peek", isBroken: false);
            return told;
        }

        public void Finish()
        {
            Session.End();
            Check("end", isBroken: false);
            _finished |= Session.IsEstablished;
        }

        public void Check(string call, bool isBroken)
        {
            nuint error = OpenSsl.ERR_peek_error();
            Require(error == 0, "no error is left for the next session", $"{name}: {call}: {error}");
            Require(isBroken || !_broken || call is "peek" or "end", "broken stays broken", $"{name}: {call}");
            _broken |= isBroken && call != "send"; // after a broken send, what has arrived can be received
        }
    }
}
