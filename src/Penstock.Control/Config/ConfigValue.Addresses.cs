using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

internal static partial class ConfigValue
{
    private const string UnixPrefix = "unix:";
    private const int MaxSocketPathBytes = 107; // sun_path of Linux holds 108 with its final zero

    /// <summary>See <see cref="TryListen"/>; null: no listener.</summary>
    public static readonly Syntax<EndPoint?> Address = new(
        static (string text, out EndPoint? address, out string error) => TryListen(text, out address!, out error),
        static address => address is null ? null : SchemaPart.Quote(address.ToString()!))
    {
        Schema = """{ "$ref": "#/definitions/address" }""",
        Text = "[address](#addresses)",
        Samples = ["127.0.0.1:9802", "unix:/run/a.sock", ":80", "[::1]:80", "localhost:8080"],
    };

    /// <summary>See <see cref="TryListen"/>.</summary>
    public static readonly Syntax<ListenerConfig> Listener = new(
        static (string text, out ListenerConfig listener, out string error) =>
        {
            bool valid = TryListen(text, out EndPoint address, out error);
            listener = new(address, text);
            return valid;
        },
        static listener => SchemaPart.Quote(listener.Text))
    {
        Schema = Address.Schema,
        Text = Address.Text,
        Samples = Address.Samples,
    };

    /// <summary>See <see cref="TryFileMode"/>.</summary>
    public static readonly Syntax<UnixFileMode> SocketMode = new(TryFileMode)
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Pattern("0?[0-7]{3}"), SchemaPart.Whole(0, 777)),
        Text = "three octal digits",
        Samples = ["0660", "0600"],
    };

    /// <summary>See <see cref="TryBackend"/>.</summary>
    public static readonly Syntax<BackendConfig> Backend = new(TryBackend,
        static backend => SchemaPart.Quote(backend.Address))
    {
        Schema = SchemaPart.String,
        Text = "`http://host:port`, `http://host` (port 80), `https://host` (port 443), `host:port` or `unix:/path`",
        Samples = ["http://127.0.0.1:9003", "127.0.0.1:9004", "http://a", "https://a", "unix:/a"],
    };

    /// <summary>See <see cref="TryNetwork"/>; or <c>unix</c>, every client of a Unix socket.</summary>
    public static readonly Syntax<TrustedPeer> Trusted = new(
        static (string text, out TrustedPeer peer, out string error) =>
        {
            peer = new(default, IsUnix: text.Equals("unix", StringComparison.OrdinalIgnoreCase));
            if (peer.IsUnix)
            {
                return Succeed(out error);
            }
            bool valid = TryNetwork(text, out IPNetwork network, out error);
            peer = new(network, IsUnix: false);
            return valid;
        })
    {
        Schema = SchemaPart.String,
        Text = "network, address or `unix`",
        Samples = ["10.0.0.0/8", "192.0.2.7", "unix", "::/0"],
    };

    /// <summary>See <see cref="TryIdentity"/>.</summary>
    public static readonly Syntax<IdentitySource> Identity = new(TryIdentity,
        static source => SchemaPart.Quote(source.ToString()))
    {
        Schema = SchemaPart.Pattern("[Aa]ddress|[Hh]eader:.+|[Qq]uery:.+|[Cc]ertificate:(subject|san|fingerprint)"),
        Text = "`header:NAME`, `query:NAME`, `certificate:PART` or `address`",
        Samples = ["header:X-Key", "query:key", "certificate:subject", "address"],
    };

    /// <summary>See <see cref="TryStore"/>.</summary>
    public static readonly Syntax<string> Store = new(TryStore, SchemaPart.Quote)
    {
        Schema = SchemaPart.AnyOf(SchemaPart.Words("memory"),
            """{ "type": "string", "pattern": "^(sqlite:(?!//).|postgres(ql)?://.)" }""", SchemaPart.Variable),
        Text = "`sqlite:PATH`, `postgres://user:password@host:5432/database` or `memory`",
        Samples = ["memory", "sqlite:a.db"],
    };

    /// <summary>See <see cref="TryToken"/>.</summary>
    public static readonly Syntax<string> Token = new(TryToken, SchemaPart.Quote)
    {
        Schema = SchemaPart.String,
        Text = "text",
        Samples = ["secret-one", "secret-two"],
    };

    /// <summary>See <see cref="TryTokenHash"/>.</summary>
    public static readonly Syntax<string> TokenHash = new(TryTokenHash)
    {
        Schema = SchemaPart.Pattern("[0-9A-Fa-f]{64}"),
        Text = "64 hexadecimal digits",
        Samples = [new('a', 64), new('b', 64)],
    };

    private const string TokenMarks = "!#$%&'*+-.^_`|~"; // RFC 9110, 5.6.2

    /// <summary><c>0.0.0.0:8080</c>, <c>:8080</c> and <c>8080</c> (IPv4 and IPv6), <c>[::1]:80</c>,
    /// <c>localhost:8080</c>, <c>unix:/path</c>. Port 0 means any free port.</summary>
    public static bool TryListen(string text, out EndPoint address, out string error)
    {
        address = new IPEndPoint(IPAddress.Any, 0);
        if (text.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            if (!TrySocketPath(text, out string? path, out error))
            {
                return false;
            }

            address = new UnixDomainSocketEndPoint(path);
            return true;
        }
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return Fail(text.StartsWith("https", StringComparison.OrdinalIgnoreCase)
                ? $"{Quote(text)} does not say which certificate to use; write {{ address: 0.0.0.0:443, tls: {{ "
                    + "certificates: [{ cert: example.crt, key: example.key }] } }"
                : $"{Quote(text)} is a URL; write the address alone, such as 0.0.0.0:8080", out error);
        }
        if (text.Contains(',', StringComparison.Ordinal))
        {
            return Fail($"{Quote(text)} is more than one address; write [0.0.0.0:8080, 0.0.0.0:8081]", out error);
        }

        if (!TryHostPort(text, out string? host, out int port, out error))
        {
            return false;
        }

        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            host = "127.0.0.1";
        }

        if (host.Length == 0)
        {
            host = "::"; // with IPv4; without IPv6 the listener takes IPv4 only
        }

        if (!AddressText.TryParseScoped(host, out IPAddress? ip))
        {
            return Fail($"{Quote(host)} is not an address to listen on; write an IP address or localhost", out error);
        }

        address = new IPEndPoint(ip, port);
        return true;
    }

    /// <summary><c>http://host:port</c>, <c>http://host</c>, <c>https://host</c>, <c>host:port</c>, <c>unix:/path</c>.
    /// </summary>
    public static bool TryBackend(string url, out BackendConfig backend, out string error)
    {
        backend = new() { Host = "", Port = 0 };
        if (url.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            if (!TrySocketPath(url, out string? path, out error))
            {
                return false;
            }

            backend = new() { Host = path, Port = 0 };
            return true;
        }
        if (url.Contains(',', StringComparison.Ordinal))
        {
            return Fail($"{Quote(url)} is more than one server; write [http://a:8080, http://b:8080]", out error);
        }
        int schemeEnd = url.IndexOf("://", StringComparison.Ordinal);
        string scheme = schemeEnd < 0 ? "http" : url[..schemeEnd].ToLowerInvariant();
        if (scheme is not ("http" or "https"))
        {
            return Fail($"{Quote(url)} is not an http:// or https:// address; write http://host:port", out error);
        }

        string address = schemeEnd < 0 ? url : url[(schemeEnd + 3)..].TrimEnd('/');
        if (address.AsSpan().ContainsAny("/?#@"))
        {
            return Fail($"{Quote(url)} has more than host and port; write http://host:port", out error);
        }

        if (schemeEnd >= 0 && address.LastIndexOf(':') <= address.LastIndexOf(']'))
        {
            address += scheme == "https" ? ":443" : ":80";
        }

        if (!TryServer(url, address, "http://host:port", out string host, out int port, out error))
        {
            return false;
        }

        backend = new() { Host = host, Port = port, IsTls = scheme == "https" };
        return true;
    }

    /// <summary><c>10.0.0.0/8</c>, <c>fd00::/8</c>, or one address.</summary>
    public static bool TryNetwork(string text, out IPNetwork network, out string error)
    {
        if (!AddressText.TryParseNetwork(text, out network))
        {
            return Fail($"{Quote(text)} is not a network; write 10.0.0.0/8 or one address", out error);
        }

        int slash = text.IndexOf('/');
        return slash < 0 || (AddressText.TryParse(text.AsSpan(0, slash), out IPAddress? written)
                && written.Equals(network.BaseAddress))
            ? Succeed(out error)
            : Fail($"{Quote(text)} has bits set beyond its prefix; write {network}", out error);
    }

    /// <summary>Host and port of a server to send to.</summary>
    /// <param name="text">The whole value, for messages.</param>
    /// <param name="form">What to write instead.</param>
    private static bool TryServer(
        string text, string address, string form, out string host, out int port, out string error)
    {
        if (!TryHostPort(address, out host, out port, out error))
        {
            return false;
        }

        if (port == 0 || Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            return Fail($"{Quote(text)} does not name a server; write {form}", out error);
        }

        return !EndsInNumber(host) || AddressText.TryParseScoped(host, out _)
            ? Succeed(out error)
            : Fail($"{Quote(host)} is neither a name nor an address that all programs read alike; write four "
                + "decimal numbers without leading zeros, such as 10.0.0.1", out error);
    }

    /// <summary>True for a host that resolvers read as an address (RFC 6943 §3.1.1), often another one than expected:
    /// <c>1.2</c> is 1.0.0.2 and <c>010.0.0.1</c> is 8.0.0.1.</summary>
    private static bool EndsInNumber(string host)
    {
        string last = host.TrimEnd('.')[(host.TrimEnd('.').LastIndexOf('.') + 1)..];
        return last.All(char.IsAsciiDigit)
            || (last.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && last[2..].All(char.IsAsciiHexDigit));
    }

    /// <summary>The mode of a file in octal: <c>0660</c> or <c>660</c>.</summary>
    public static bool TryFileMode(string text, out UnixFileMode mode, out string error)
    {
        mode = default;
        string digits = text.Length == 4 && text[0] == '0' ? text[1..] : text;
        if (digits.Length != 3 || digits.Any(static c => c is < '0' or > '7'))
        {
            return Fail($"{Quote(text)} is not the mode of a file; write three octal digits, such as 0660", out error);
        }

        mode = (UnixFileMode)digits.Aggregate(0, static (value, digit) => (value << 3) | (digit - '0'));
        return Succeed(out error);
    }

    /// <summary><c>address</c>, <c>header:NAME</c>, <c>query:NAME</c>, <c>certificate:PART</c>.</summary>
    public static bool TryIdentity(string text, out IdentitySource source, out string error)
    {
        source = new(IdentityKind.Address, "");
        if (text.Equals("address", StringComparison.OrdinalIgnoreCase))
        {
            return Succeed(out error);
        }

        int colon = text.IndexOf(':');
        (string kind, string name) = colon < 0 ? (text, "") : (text[..colon].ToLowerInvariant(), text[(colon + 1)..]);
        if (kind is "header" && IsToken(name))
        {
            source = new(IdentityKind.Header, name);
        }
        else if (kind is "query" && name.Length > 0 && !name.Any(c => c is <= ' ' or '&' or '=' or '#'))
        {
            source = new(IdentityKind.Query, name);
        }
        else if (kind is "certificate" && name is "subject" or "san" or "fingerprint")
        {
            source = new(IdentityKind.Certificate, name);
        }
        else
        {
            return Fail(kind switch
            {
                "header" or "query" => $"{Quote(name)} is not a {kind} name; write {kind}:NAME",
                "certificate" => $"{Quote(name)} is no part of a certificate; write certificate:subject, "
                    + "certificate:san or certificate:fingerprint",
                _ => $"{Quote(text)} does not identify a client; "
                    + (Suggestion.For(kind, ["address", "header", "query", "certificate"])
                        ?? "write address, header:NAME, query:NAME or certificate:subject"),
            }, out error);
        }

        return Succeed(out error);
    }

    /// <summary><c>sqlite:PATH</c>, <c>postgres://user:password@host:5432/database</c> or <c>memory</c>. Messages do
    /// not quote it, because it may contain a password.</summary>
    public static bool TryStore(string text, out string store, out string error)
    {
        store = text;
        if (ClientStores.IsKnown(text))
        {
            return Succeed(out error);
        }

        return Fail(ClientStores.Fault(text), out error);
    }

    /// <summary>A secret that a header field can carry. White space at its ends, such as the newline of a file, is not
    /// part of it. Messages do not quote it.</summary>
    public static bool TryToken(string text, out string token, out string error)
    {
        token = text.Trim();
        if (!token.All(static c => c is >= ' ' and <= '~'))
        {
            return Fail("this cannot be sent in a header; write visible ASCII characters", out error);
        }
        return AdminToken.IsDamaged(token)
            ? Fail("a character of this token is wrong or missing; copy it again", out error)
            : Succeed(out error);
    }

    /// <summary>The SHA-256 of a token, in hexadecimal. Messages do not quote it, because it may be the token itself.
    /// </summary>
    public static bool TryTokenHash(string text, out string hash, out string error)
    {
        hash = text.ToLowerInvariant();
        return hash.Length == AdminToken.HashDigits && hash.All(char.IsAsciiHexDigit)
            ? Succeed(out error)
            : Fail("this is not a SHA-256; write its 64 hexadecimal digits, as 'penstock token create' prints them",
                out error);
    }

    private static bool IsPath(string text) => text.StartsWith('/') && text.All(c => c is > ' ' and <= '~' and not '#');

    private static bool IsToken(string text) =>
        text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || TokenMarks.Contains(c));

    private static bool TrySocketPath(string text, out string path, out string error)
    {
        path = text[UnixPrefix.Length..];
        return path.StartsWith('/') && Encoding.UTF8.GetByteCount(path) <= MaxSocketPathBytes
            ? Succeed(out error)
            : Fail($"{Quote(text)} is not a socket; write unix:/path, at most {MaxSocketPathBytes} bytes", out error);
    }

    /// <summary>Splits host and port. The host has no brackets, and is empty if only a port is given.</summary>
    private static bool TryHostPort(string text, out string host, out int port, out string error)
    {
        int colon = text.LastIndexOf(':');
        host = text[..Math.Max(colon, 0)];
        ReadOnlySpan<char> digits = text.AsSpan(colon + 1);
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > 65535)
        {
            return Fail($"{Quote(text)} has no port from 0 to 65535; write host:port", out error);
        }

        bool bracketed = host.StartsWith('[') && host.EndsWith(']');
        if (bracketed)
        {
            host = host[1..^1];
        }

        if (bracketed != host.Contains(':'))
        {
            return Fail($"{Quote(text)} is ambiguous; write an IPv6 address as [::1]:8080", out error);
        }

        if (bracketed && AddressText.TryParseScoped(host, out IPAddress? ip))
        {
            host = ip.ToString();
        }

        return Succeed(out error);
    }
}
