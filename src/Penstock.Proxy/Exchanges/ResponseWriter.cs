using System.Buffers;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;

namespace Penstock.Proxy.Exchanges;

/// <summary>Writes the response head for the client: from a backend's parsed response, or as an answer of
/// Penstock.</summary>
internal static class ResponseWriter
{
    /// <summary>Room for what Penstock adds to the texts of backend and operator: limits, a cookie, the
    /// framing.</summary>
    private const int OwnBytes = 16 * 1024;

    /// <summary>No head has more bytes than the received one and these together.</summary>
    public static int MaxAddedBytes(Exchange exchange) =>
        OwnBytes + (exchange.Route?.ResponseEdits?.Lines.Length ?? 0);

    public static void Write(ref HeadWriter to, Exchange exchange, ReadOnlySpan<byte> head, ReadOnlySpan<byte> date,
        bool keepAlive, bool chunked)
    {
        ResponseHead response = exchange.Response;
        HeaderEdits? edits = exchange.Route?.ResponseEdits;
        bool sawDate = false;
        bool sawRequestId = false;
        ReadOnlySpan<byte> security = exchange.Listener.SecurityField;
        LimitFields limitFields = LimitFieldsWriter.Choose(exchange, response);
        WriteStart(ref to, response, head);
        foreach (ref readonly Field field in response.Fields)
        {
            if (!FieldNames.IsRewritten(field.Known) && !response.IsNominated(head, field)
                && !(security.Length > 0 && IsSecurityField(field.Name.Of(head)))
                && !LimitFieldsWriter.Replaces(limitFields, field.Known) && edits?.Drops(field.Name.Of(head)) != true)
            {
                sawDate |= field.Known == FieldName.Date;
                sawRequestId |= field.Known == FieldName.XRequestId;
                to.AddField(field.Name.Of(head), field.Value.Of(head));
            }
        }
        if (chunked)
        {
            to.Add("Transfer-Encoding: chunked\r\n"u8);
        }
        else if (response.ContentLength >= 0 && response.Status != 204)
        {
            to.Add("Content-Length: "u8);
            to.Add(response.ContentLength);
            to.Add("\r\n"u8);
        }
        if (!sawDate)
        {
            to.AddField("Date"u8, date);
        }
        if (!sawRequestId)
        {
            to.AddField("X-Request-Id"u8, exchange.RequestId);
        }
        to.Add(security);
        LimitFieldsWriter.Write(ref to, exchange, limitFields, edits);
        if (exchange.Backend != exchange.StickyBackend)
        {
            to.Add(exchange.Route!.Upstream.SetCookie(exchange.Backend!));
        }
        if (edits is not null)
        {
            to.Add(edits.Lines);
        }
        if (response.Status == 101)
        {
            to.AddField("Upgrade"u8, response.Upgrade.Of(head));
            to.Add("Connection: Upgrade\r\n\r\n"u8);
            return;
        }

        // A 426 must say which protocol to upgrade to (RFC 9110 §15.5.22).
        bool tellsUpgrade = response.Status == 426 && response.Upgrade.Length > 0 && exchange.Request.MinorVersion > 0;
        if (tellsUpgrade)
        {
            to.AddField("Upgrade"u8, response.Upgrade.Of(head));
        }
        WriteConnection(ref to, exchange, keepAlive, tellsUpgrade);
    }

    private static bool IsSecurityField(ReadOnlySpan<byte> name) =>
        Ascii.EqualsIgnoreCase(name, "strict-transport-security"u8);

    /// <summary>Writes a 1xx response, without framing and without fields of Penstock (RFC 9110 §15.2). Fields that the
    /// route removes are removed.</summary>
    public static void WriteInterim(ref HeadWriter to, Exchange exchange, ReadOnlySpan<byte> head)
    {
        ResponseHead response = exchange.Response;
        HeaderEdits? edits = exchange.Route?.ResponseEdits;
        WriteStart(ref to, response, head);
        foreach (ref readonly Field field in response.Fields)
        {
            if (!FieldNames.IsRewritten(field.Known) && !response.IsNominated(head, field)
                && edits?.Drops(field.Name.Of(head)) != true)
            {
                to.AddField(field.Name.Of(head), field.Value.Of(head));
            }
        }
        to.Add("\r\n"u8);
    }

    /// <summary>Writes an answer of Penstock: with a JSON body, or as the operator has configured it.</summary>
    /// <param name="page">The operator's body and fields; null: Penstock's.</param>
    /// <param name="request">The received bytes of the request's head.</param>
    /// <returns>Bytes of the body; 0 for HEAD.</returns>
    public static int WriteAnswer(ref HeadWriter to, Exchange exchange, ReadOnlySpan<byte> date, bool keepAlive,
        AnswerPage? page = null, ReadOnlySpan<byte> request = default)
    {
        (ReadOnlySpan<byte> phrase, ReadOnlySpan<byte> message) = PhrasesFor(exchange.Status);
        if (exchange.Outcome == Outcome.ConcurrencyLimited)
        {
            message = "Too many requests at the same time"u8;
        }
        else if (exchange.Outcome == Outcome.NoDescriptors)
        {
            message = "Too many connections are open"u8;
        }
        var values = new AnswerValues
        {
            Exchange = exchange,
            Phrase = phrase,
            Message = message,
            Origin = page is not null && !request.IsEmpty
                && exchange.Request.TryGet(request, "origin"u8, out Slice origin) ? origin.Of(request) : default,
            RetryAfter = exchange.Status switch
            {
                429 => exchange.Admission.RetryAfterSeconds,
                503 => 1,
                _ => 0,
            },
        };

        byte[]? rented = page?.Body is { } template ? ArrayPool<byte>.Shared.Rent(template.MaxBytes) : null;
        Span<byte> room = rented is null ? stackalloc byte[4096] : rented;
        var body = new HeadWriter(room);
        if (page?.Body is { } text)
        {
            text.Write(ref body, values);
        }
        else if (exchange.OwnText is { } own)
        {
            body.Add(own);
        }
        else if (exchange.Status != 200)
        {
            WriteJson(ref body, exchange, message, values.RetryAfter);
        }
        WriteAnswerHead(ref to, values, body.Length, date, page);
        WriteConnection(ref to, exchange, keepAlive);
        int sent = exchange.Request.Method == Method.Head ? 0 : body.Length;
        to.Add(room[..sent]);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
        return sent;
    }

    private static void WriteAnswerHead(ref HeadWriter to, scoped in AnswerValues values, int bodyBytes,
        ReadOnlySpan<byte> date, AnswerPage? page)
    {
        Exchange exchange = values.Exchange;
        to.Add("HTTP/1.1 "u8);
        to.Add(exchange.Status);
        to.Add(" "u8);
        to.Add(values.Phrase);
        to.Add("\r\n"u8);
        if (exchange.OwnText is not null)
        {
            to.Add("Content-Type: text/plain\r\n"u8);
        }
        else if (exchange.Status == 200)
        {
            to.Add("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"u8); // for OPTIONS with Max-Forwards: 0
        }
        else
        {
            to.AddField("Content-Type"u8, page?.Body is null ? "application/json"u8 : page.ContentType);
        }
        to.Add("Content-Length: "u8);
        to.Add(bodyBytes);
        to.Add("\r\n"u8);
        to.AddField("Date"u8, date);
        if (!exchange.RequestId.IsEmpty)
        {
            to.AddField("X-Request-Id"u8, exchange.RequestId);
        }
        to.Add(exchange.Listener.SecurityField);
        if (exchange.Outcome == Outcome.Redirected)
        {
            WriteLocation(ref to, exchange);
        }
        if (values.RetryAfter > 0 && page?.Sets("retry-after"u8) != true)
        {
            to.Add("Retry-After: "u8);
            to.Add(values.RetryAfter);
            to.Add("\r\n"u8);
        }
        if (exchange.Status == 401 && exchange.Identifier is { } identifier
            && page?.Sets("www-authenticate"u8) != true)
        {
            to.AddField("WWW-Authenticate"u8, identifier.Challenge);
        }
        LimitFieldsWriter.Write(ref to, exchange, LimitFieldsWriter.Choose(exchange, response: null), edits: null);
        foreach ((byte[] name, AnswerTemplate value) in page?.Fields ?? [])
        {
            if (!value.IsEmpty(values))
            {
                to.Add(name);
                to.Add(": "u8);
                value.Write(ref to, values);
                to.Add("\r\n"u8);
            }
        }
    }

    /// <summary>The same resource by HTTPS: host and target of the request.</summary>
    private static void WriteLocation(ref HeadWriter to, Exchange exchange)
    {
        ReadOnlySpan<byte> host = exchange.Request.Authority.Of(exchange.Head);
        int port = host.LastIndexOf((byte)':');
        int address = host.LastIndexOf((byte)']'); // the colons of an IPv6 address are no port's
        to.Add("Location: https://"u8);
        to.Add(port > address ? host[..port] : host);
        if (exchange.Listener.RedirectPort is not 443 and var other)
        {
            to.Add(":"u8);
            to.Add(other);
        }
        ReadOnlySpan<byte> target = exchange.Request.Target.Of(exchange.Head);
        to.Add(target is [(byte)'/', ..] ? target : "/"u8);
        to.Add("\r\n"u8);
    }

    private static void WriteJson(ref HeadWriter json, Exchange exchange, ReadOnlySpan<byte> message, long retryAfter)
    {
        json.Add("{\"code\":"u8);
        json.Add(exchange.Status);
        json.Add(",\"message\":\""u8);
        json.Add(message);
        json.Add("\""u8);
        if (exchange.Outcome == Outcome.ClientBlocked)
        {
            json.Add(",\"client\":"u8);
            JsonText.AddString(ref json, exchange.ClientName);
        }
        if (exchange.Admission.Rejected && exchange.Admission.TryGetDecisive(out AppliedLimit rejection))
        {
            json.Add(",\"client\":"u8);
            JsonText.AddString(ref json, exchange.ClientName);
            json.Add(",\"limit\":"u8);
            JsonText.AddString(ref json, rejection.NameBytes);
            if (exchange.Admission.Cost > 1 && !rejection.Full)
            {
                json.Add(",\"cost\":"u8);
                json.Add(exchange.Admission.Cost);
            }
        }
        if (retryAfter > 0)
        {
            json.Add(",\"retry_after\":"u8);
            json.Add(retryAfter);
        }
        if (exchange.Fault != HttpFault.None)
        {
            json.Add(",\"fault\":\""u8);
            json.Add(exchange.Fault.Bytes());
            json.Add("\",\"detail\":\""u8);
            json.Add(exchange.Fault.Sentence());
            json.Add("\""u8);
        }
        if (!exchange.RequestId.IsEmpty)
        {
            json.Add(",\"request_id\":"u8);
            JsonText.AddString(ref json, exchange.RequestId);
        }
        json.Add("}"u8);
    }

    private static void WriteStart(ref HeadWriter to, ResponseHead response, ReadOnlySpan<byte> head)
    {
        to.Add("HTTP/1.1 "u8);
        to.Add(response.Status);
        to.Add(" "u8);
        to.Add(response.ReasonPhrase.Of(head));
        to.Add("\r\n"u8);
    }

    private static void WriteConnection(ref HeadWriter to, Exchange exchange, bool keepAlive,
        bool tellsUpgrade = false)
    {
        to.Add(tellsUpgrade ? keepAlive ? "Connection: Upgrade\r\n\r\n"u8 : "Connection: Upgrade, close\r\n\r\n"u8
            : !keepAlive ? "Connection: close\r\n\r\n"u8
            : exchange.Request.MinorVersion == 0 ? "Connection: keep-alive\r\n\r\n"u8 : "\r\n"u8);
    }

    private static Phrases PhrasesFor(int status) => status switch
    {
        200 => new("OK"u8, default),
        308 => new("Permanent Redirect"u8, "Use HTTPS"u8),
        401 => new("Unauthorized"u8, "This client is not registered"u8),
        403 => new("Forbidden"u8, "Client is blocked"u8),
        404 => new("Not Found"u8, "No route for this request"u8),
        408 => new("Request Timeout"u8, "Request timeout"u8),
        413 => new("Content Too Large"u8, "Request body too large"u8),
        414 => new("URI Too Long"u8, "Request line too long"u8),
        417 => new("Expectation Failed"u8, "Expectation failed"u8),
        429 => new("Too Many Requests"u8, "Rate limit exceeded"u8),
        431 => new("Request Header Fields Too Large"u8, "Request header too large"u8),
        501 => new("Not Implemented"u8, "Not implemented"u8),
        502 => new("Bad Gateway"u8, "Bad gateway"u8),
        503 => new("Service Unavailable"u8, "Service not available"u8),
        504 => new("Gateway Timeout"u8, "Gateway timeout"u8),
        508 => new("Loop Detected"u8, "The request is in a loop: it has passed here before"u8),
        505 => new("HTTP Version Not Supported"u8, "HTTP version not supported"u8),
        _ => new("Bad Request"u8, "Bad request"u8),
    };

    private readonly ref struct Phrases(ReadOnlySpan<byte> phrase, ReadOnlySpan<byte> message)
    {
        private readonly ReadOnlySpan<byte> _phrase = phrase;
        private readonly ReadOnlySpan<byte> _message = message;

        public void Deconstruct(out ReadOnlySpan<byte> phrase, out ReadOnlySpan<byte> message)
        {
            phrase = _phrase;
            message = _message;
        }
    }
}
