using System.Diagnostics;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Exchanges;

/// <summary>Writes the request head for the backend from the parsed request.</summary>
internal static class RequestWriter
{
    /// <summary>Penstock's name in the Via field.</summary>
    public static ReadOnlySpan<byte> ViaName => "penstock"u8;

    /// <summary>Room for what Penstock adds to the texts of client and operator: field names, addresses, numbers, a
    /// PROXY protocol header, the framing of a piece of body.</summary>
    private const int OwnBytes = 2048;

    /// <summary>No head has more bytes than this. A host may be written twice more often than it was sent.</summary>
    public static int MaxBytes(Exchange exchange, ReadOnlySpan<byte> head)
    {
        HeaderEdits? edits = exchange.Route?.RequestEdits;
        return head.Length + (2 * exchange.Request.Authority.Length) + (edits?.Lines.Length ?? 0)
            + (exchange.Certificate is null ? 0 : exchange.Listener.PassedBytes) + (edits?.Host?.Length ?? 0)
            + (exchange.Route?.Rewrite?.AddedBytes ?? 0) + OwnBytes;
    }

    /// <param name="peer">The address at the other end of the client connection.</param>
    /// <param name="span">The span that the backend continues; null: the client's trace context is passed on.</param>
    public static void Write(
        ref HeadWriter to, Exchange exchange, ReadOnlySpan<byte> head, ClientAddress peer, Activity? span = null)
    {
        RequestHead request = exchange.Request;
        HeaderEdits? edits = exchange.Route?.RequestEdits;
        WriteLine(ref to, request, head, exchange.Route?.Rewrite);

        // An HTTP/1.0 request may lack a Host field; the HTTP/1.1 request to the backend must have one (RFC 9112 §3.2).
        to.AddField("Host"u8, edits?.Host is { } host ? host
            : request.Authority.Length > 0 ? request.Authority.Of(head) : "localhost"u8);
        foreach (ref readonly Field field in request.Fields)
        {
            if (IsForwarded(field, field.Name.Of(head), exchange) && (field.Value == exchange.IdentityValue
                || !request.IsNominated(head, field)) && edits?.Drops(field.Name.Of(head)) != true)
            {
                to.AddField(field.Name.Of(head), field.Value.Of(head));
            }
        }
        WriteFraming(ref to, request);
        WriteForwarded(ref to, exchange, head, peer);
        if (exchange.Certificate is { } certificate)
        {
            WriteCertificate(ref to, exchange, certificate);
        }
        if (request.WantsUpgrade)
        {
            to.Add("Connection: Upgrade\r\n"u8);
            to.AddField("Upgrade"u8, request.Upgrade.Of(head));
        }
        if (request.MaxForwards >= 0)
        {
            to.Add("Max-Forwards: "u8);
            to.Add(request.MaxForwards - 1);
            to.Add("\r\n"u8);
        }
        if (edits is not null)
        {
            to.Add(edits.Lines);
        }
        to.AddField("X-Request-Id"u8, exchange.RequestId);
        to.Add(request.MinorVersion == 0 ? "Via: 1.0 "u8 : "Via: 1.1 "u8);
        to.Add(ViaName);
        to.Add("\r\n"u8);
        if (span is not null && edits?.Drops("traceparent"u8) != true)
        {
            Tracing.WriteContext(ref to, span);
        }
        to.Add("\r\n"u8);
    }

    private static void WriteLine(ref HeadWriter to, RequestHead request, ReadOnlySpan<byte> head,
        PathRewrite? rewrite)
    {
        to.Add(request.MethodName.Of(head));
        if (rewrite is not null && !request.IsAsterisk)
        {
            to.Add(" "u8);
            rewrite.Write(ref to, request.PathOf(head));
            to.Add(request.Target.Of(head)[request.Path.Length..]); // the query with its question mark
        }
        else
        {
            to.Add(request.NeedsSlash && !request.IsAsterisk ? " /"u8 : " "u8);
            to.Add(request.IsAsterisk ? "*"u8 : request.Target.Of(head));
        }
        to.Add(" HTTP/1.1\r\n"u8);
    }

    private static bool IsForwarded(in Field field, ReadOnlySpan<byte> name, Exchange exchange) => field.Known switch
    {
        FieldName.Other => (exchange.Identifier is not { } identifier || !identifier.IsLookalikeField(name))
            && !Tracing.IsReplaced(exchange, name) && !IsOfCertificate(exchange, name),
        FieldName.Expect => exchange.Request.ExpectsContinue,
        FieldName.MaxForwards => exchange.Request.Method != Method.Options, // written separately
        FieldName.XRequestId or FieldName.XForwardedFor => false,

        // An untrusted client can write anything into these fields, so they are dropped.
        FieldName.XForwardedProto or FieldName.XForwardedHost or FieldName.Forwarded => exchange.PeerTrusted,

        // These too, unless the operator identifies clients by the field.
        FieldName.Hearsay => exchange.PeerTrusted || field.Value == exchange.IdentityValue,
        _ => !FieldNames.IsRewritten(field.Known),
    };

    /// <summary>Backends take the field for a part of a certificate that Penstock has checked. A trusted proxy may have
    /// checked it, too, unless this client has shown one itself.</summary>
    private static bool IsOfCertificate(Exchange exchange, ReadOnlySpan<byte> name)
    {
        if (exchange.PassedNames.Length == 0 || (exchange.PeerTrusted && exchange.Certificate is null))
        {
            return false;
        }
        foreach (AlikeName field in exchange.PassedNames)
        {
            if (field.IsField(name) || field.IsLookalikeField(name))
            {
                return true;
            }
        }
        return false;
    }

    private static void WriteCertificate(ref HeadWriter to, Exchange exchange, ClientCertificate certificate)
    {
        foreach ((byte[] field, CertificatePart part) in exchange.Listener.Passed)
        {
            to.AddField(field, certificate.Of(part));
        }
    }

    private static void WriteFraming(ref HeadWriter to, RequestHead request)
    {
        if (request.Framing == BodyFraming.Chunked)
        {
            to.Add("Transfer-Encoding: chunked\r\n"u8);
        }
        else if (request.ContentLength >= 0)
        {
            to.Add("Content-Length: "u8);
            to.Add(request.ContentLength);
            to.Add("\r\n"u8);
        }
    }

    /// <summary>Writes X-Forwarded-For: what trusted hops wrote, then the peer's address (a Unix domain socket has
    /// none). -Proto and -Host are as the first trusted hop saw them.</summary>
    private static void WriteForwarded(ref HeadWriter to, Exchange exchange, ReadOnlySpan<byte> head,
        ClientAddress peer)
    {
        bool sawProto = false;
        bool sawHost = false;
        bool sawFor = false;
        if (exchange.PeerTrusted)
        {
            foreach (ref readonly Field field in exchange.Request.Fields)
            {
                sawProto |= field.Known == FieldName.XForwardedProto;
                sawHost |= field.Known == FieldName.XForwardedHost;
                if (field.Known == FieldName.XForwardedFor && field.Value.Length > 0)
                {
                    to.Add(sawFor ? ", "u8 : "X-Forwarded-For: "u8);
                    to.Add(field.Value.Of(head));
                    sawFor = true;
                }
            }
        }
        if (peer.Ip is not null)
        {
            to.Add(sawFor ? ", "u8 : "X-Forwarded-For: "u8);
            to.Add(peer.Text);
            sawFor = true;
        }
        if (sawFor)
        {
            to.Add("\r\n"u8);
        }
        if (!sawProto)
        {
            to.Add(exchange.IsSecure ? "X-Forwarded-Proto: https\r\n"u8 : "X-Forwarded-Proto: http\r\n"u8);
        }
        if (!sawHost && exchange.Request.Authority.Length > 0)
        {
            to.AddField("X-Forwarded-Host"u8, exchange.Request.Authority.Of(head));
        }
    }
}
