using System.Text;

namespace Penstock.Proxy.Http1;

/// <summary>The methods that Penstock must tell apart.</summary>
internal enum Method : byte
{
    Other,
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
    Connect,
}

/// <summary>A parsed request head (RFC 9112 §3, RFC 9110 §7).</summary>
internal sealed class RequestHead(HeadBounds bounds) : MessageHead(bounds)
{
    private const int MaxMethodBytes = 32;
    private readonly int _maxLineBytes = bounds.LineBytes;
    private int _hostFields;
    private bool _absoluteForm;

    public RequestHead()
        : this(HeadBounds.Default)
    {
    }

    public Method Method { get; private set; }
    public Slice MethodName { get; private set; }

    /// <summary>The target for the forwarded request line: origin-form or <c>*</c>, as sent.</summary>
    public Slice Target { get; private set; }

    /// <summary><see cref="Target"/> without its query.</summary>
    public Slice Path { get; private set; }

    /// <summary>The path of the forwarded request, for routes. Never empty.</summary>
    public ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> head) =>
        IsAsterisk ? "*"u8 : NeedsSlash ? "/"u8 : Path.Of(head);

    /// <summary>The part behind the question mark; empty when there is none.</summary>
    public Slice Query { get; private set; }

    /// <summary>The target's authority if it has one, else the Host field.</summary>
    public Slice Authority { get; private set; }
    public bool ExpectsContinue { get; private set; }

    /// <summary>For OPTIONS: how many further hops may get the request (RFC 9110 §7.6.2); -1: no such field.</summary>
    public long MaxForwards { get; private set; } = -1;

    /// <summary>The target must be sent as <c>*</c>: OPTIONS in asterisk-form, or in absolute-form without a path
    /// (RFC 9112 §3.2.4).</summary>
    public bool IsAsterisk { get; private set; }

    /// <summary>The target has no path, so a slash is sent: <c>http://a</c> or <c>http://a?q</c>.</summary>
    public bool NeedsSlash { get; private set; }

    /// <summary>The client asks for another protocol on this connection (RFC 9110 §7.8), after the body if there is
    /// one: Docker's exec sends a POST with <c>Upgrade: tcp</c>.</summary>
    public bool WantsUpgrade => ConnectionUpgrade && Upgrade.Length > 0 && MinorVersion > 0;

    /// <summary>Whether the client may send a further request on this connection (RFC 9112 §9.3).</summary>
    public bool KeepAlive => !ConnectionClose && (MinorVersion > 0 || ConnectionKeepAlive);

    /// <summary>Whether the method is safe (RFC 9110 §9.2.1).</summary>
    public bool IsSafe => Method is Method.Get or Method.Head or Method.Options or Method.Trace;

    /// <summary>Whether the method is idempotent, so that the request may be sent again after an attempt without a
    /// response (RFC 9110 §9.2.2).</summary>
    public bool IsIdempotent => Method is Method.Get or Method.Head or Method.Put or Method.Delete or Method.Options
        or Method.Trace;

    public override void Reset()
    {
        base.Reset();
        _hostFields = 0;
        _absoluteForm = false;
        Method = Method.Other;
        MethodName = Target = Path = Query = Authority = default;
        ExpectsContinue = IsAsterisk = NeedsSlash = false;
        MaxForwards = -1;
    }

    protected override HttpFault CheckUnfinishedStart(ReadOnlySpan<byte> line)
    {
        // Rejects a TLS hello or other binary data at once instead of after the head timeout.
        int space = line.IndexOf((byte)' ');
        ReadOnlySpan<byte> method = space >= 0 ? line[..space] : line.EndsWith("\r"u8) ? line[..^1] : line;
        return CheckMethod(method) is not HttpFault.None and var fault ? fault
            : line.Length > _maxLineBytes + 1 ? HttpFault.TargetTooLong : HttpFault.None; // 1: the CR
    }

    protected override bool ParseStartLine(ReadOnlySpan<byte> line, int at)
    {
        int space = line.IndexOf((byte)' ');
        ReadOnlySpan<byte> method = space < 0 ? line : line[..space];
        if (CheckMethod(method) is not HttpFault.None and var fault)
        {
            return Fail(fault);
        }
        if (line.Length > _maxLineBytes)
        {
            return Fail(HttpFault.TargetTooLong);
        }
        if (space <= 0)
        {
            return Fail(HttpFault.BadRequestLine);
        }
        MethodName = new Slice(at, space);
        Method = MethodOf(method);

        ReadOnlySpan<byte> rest = line[(space + 1)..];
        int second = rest.IndexOf((byte)' ');
        if (second <= 0)
        {
            return Fail(HttpFault.BadRequestLine);
        }
        return ParseVersion(rest[(second + 1)..]) && ParseTarget(rest[..second], at + space + 1);
    }

    protected override bool OnField(FieldName known, ReadOnlySpan<byte> value, Slice at)
    {
        switch (known)
        {
            case FieldName.Host:
                if (++_hostFields > 1)
                {
                    return Fail(HttpFault.HostRepeated);
                }
                if (!value.IsEmpty && !Grammar.IsAuthority(value))
                {
                    return Fail(HttpFault.HostInvalid);
                }
                if (!_absoluteForm)
                {
                    Authority = at;
                }
                return true;

            case FieldName.Expect:
                ExpectsContinue = Ascii.EqualsIgnoreCase(value, "100-continue"u8);
                return ExpectsContinue || Fail(HttpFault.ExpectationUnknown);

            case FieldName.MaxForwards when Method == Method.Options:
                MaxForwards = TryReadDigits(value, out long hops) ? hops : -1;
                return true;

            default:
                return true;
        }
    }

    protected override bool Complete(ReadOnlySpan<byte> head)
    {
        if (_hostFields == 0 && MinorVersion > 0)
        {
            return Fail(HttpFault.HostMissing);
        }
        if (Authority.Length == 0 && _hostFields > 0 && MinorVersion > 0)
        {
            return Fail(HttpFault.HostInvalid);
        }
        if (Method is Method.Connect or Method.Trace)
        {
            // CONNECT would make Penstock an open relay; TRACE shows cookies to scripts. Neither is useful behind a
            // load balancer.
            return Fail(HttpFault.MethodNotSupported);
        }

        Framing = SawTransferEncoding ? BodyFraming.Chunked
            : ContentLength > 0 ? BodyFraming.Length : BodyFraming.None;
        ExpectsContinue &= MinorVersion > 0 && Framing != BodyFraming.None;
        return true;
    }

    private bool ParseVersion(ReadOnlySpan<byte> version)
    {
        if (version.Length != 8 || !version.StartsWith("HTTP/"u8) || version[6] != '.'
            || !char.IsAsciiDigit((char)version[5]) || !char.IsAsciiDigit((char)version[7]))
        {
            return Fail(version.Contains((byte)' ') ? HttpFault.BadRequestLine : HttpFault.BadVersion);
        }
        if (version[5] != '1')
        {
            return Fail(HttpFault.VersionNotSupported);
        }

        // A minor version above 1 is read as 1 (RFC 9110 §2.5).
        MinorVersion = version[7] == '0' ? 0 : 1;
        return true;
    }

    private bool ParseTarget(ReadOnlySpan<byte> target, int at)
    {
        if (target.ContainsAnyExcept(Grammar.Target))
        {
            return Fail(HttpFault.BadTarget);
        }

        if (target[0] == '/')
        {
            SetTarget(target, at);
            return true;
        }
        if (target.SequenceEqual("*"u8))
        {
            IsAsterisk = true;
            Target = Path = new Slice(at, 1);
            return Method == Method.Options || Fail(HttpFault.BadTarget);
        }

        // Complete rejects CONNECT, with a status for methods.
        return Method == Method.Connect || ParseAbsolute(target, at);
    }

    private bool ParseAbsolute(ReadOnlySpan<byte> target, int at)
    {
        int scheme = target.Length >= 8 && Ascii.EqualsIgnoreCase(target[..8], "https://"u8) ? 8
            : target.Length >= 7 && Ascii.EqualsIgnoreCase(target[..7], "http://"u8) ? 7 : 0;
        if (scheme == 0)
        {
            return Fail(HttpFault.BadTarget);
        }

        ReadOnlySpan<byte> rest = target[scheme..];
        int end = rest.IndexOfAny((byte)'/', (byte)'?');
        end = end < 0 ? rest.Length : end;
        if (!Grammar.IsAuthority(rest[..end]))
        {
            return Fail(HttpFault.BadTarget);
        }

        _absoluteForm = true;
        Authority = new Slice(at + scheme, end);
        SetTarget(rest[end..], at + scheme + end);
        NeedsSlash = rest.Length == end || rest[end] == '?';
        IsAsterisk = Method == Method.Options && rest.Length == end;
        return true;
    }

    private void SetTarget(ReadOnlySpan<byte> target, int at)
    {
        int mark = target.IndexOf((byte)'?');
        Target = new Slice(at, target.Length);
        Path = new Slice(at, mark < 0 ? target.Length : mark);
        Query = mark < 0 ? default : new Slice(at + mark + 1, target.Length - mark - 1);
    }

    /// <summary>Reads no further than the longest method, so that more bytes do not change the result.</summary>
    private static HttpFault CheckMethod(ReadOnlySpan<byte> method) =>
        method[..Math.Min(method.Length, MaxMethodBytes)].ContainsAnyExcept(Grammar.Token) ? HttpFault.BadMethod
        : method.Length > MaxMethodBytes ? HttpFault.MethodNotSupported : HttpFault.None;

    private static Method MethodOf(ReadOnlySpan<byte> name) => name.Length switch
    {
        3 => name.SequenceEqual("GET"u8) ? Method.Get : name.SequenceEqual("PUT"u8) ? Method.Put : Method.Other,
        4 => name.SequenceEqual("POST"u8) ? Method.Post : name.SequenceEqual("HEAD"u8) ? Method.Head : Method.Other,
        5 => name.SequenceEqual("PATCH"u8) ? Method.Patch
            : name.SequenceEqual("TRACE"u8) ? Method.Trace : Method.Other,
        6 => name.SequenceEqual("DELETE"u8) ? Method.Delete : Method.Other,
        7 => name.SequenceEqual("OPTIONS"u8) ? Method.Options
            : name.SequenceEqual("CONNECT"u8) ? Method.Connect : Method.Other,
        _ => Method.Other,
    };
}
