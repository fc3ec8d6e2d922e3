using System.Diagnostics;
using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Traces exchanges for whoever listens to <see cref="SourceName"/>: a span for each exchange and one for each
/// attempt, with the names of OpenTelemetry's semantic conventions for HTTP 1.23 and later. The client's W3C trace
/// context is continued to the backend. Without a listener it costs one test for each request, and Penstock passes
/// the context on as it came. No span has a query or the key of a client, because both can be secrets.</summary>
internal static class Tracing
{
    public const string SourceName = "Penstock";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins the span of an exchange whose head is complete.</summary>
    public static void Begin(Exchange exchange)
    {
        if (!Source.HasListeners())
        {
            return;
        }
        RequestHead request = exchange.Request;
        ReadOnlySpan<byte> head = exchange.Head;
        exchange.ContinuesTrace = ActivityContext.TryParse(
            OnlyValue(request, head, "traceparent"u8), OnlyValue(request, head, "tracestate"u8),
            isRemote: true, out ActivityContext parent); // without a valid context the exchange begins a trace
        string method = request.Method == Method.Other ? "_OTHER" // a client could make any number of names
            : Encoding.ASCII.GetString(request.MethodName.Of(head));
        if (Source.CreateActivity(method, ActivityKind.Server, parent) is not { } span)
        {
            return;
        }
        long sinceStartNs = exchange.Loop.NowNs - exchange.StartNs;
        Start(span);
        span.SetStartTime(span.StartTimeUtc - TimeSpan.FromTicks(sinceStartNs / TimeSpan.NanosecondsPerTick));
        exchange.Span = span;
        if (span.IsAllDataRequested)
        {
            span.SetTag("http.request.method", method);
            span.SetTag("url.scheme", exchange.IsSecure ? "https" : "http");
            span.SetTag("url.path", Encoding.ASCII.GetString(request.PathOf(head)));
            SetServer(span, Encoding.ASCII.GetString(request.Authority.Of(head)));
            span.SetTag("client.address", exchange.Caller is { } caller ? Encoding.ASCII.GetString(caller.Text) : null);
        }
    }

    /// <summary>Begins the span of an attempt.</summary>
    public static void BeginAttempt(Exchange exchange, Attempt attempt)
    {
        if (exchange.Span is not { } parent || Source.CreateActivity(
            parent.OperationName, ActivityKind.Client, parent.Context) is not { } span)
        {
            return;
        }
        Start(span);
        attempt.Span = span;
        if (span.IsAllDataRequested)
        {
            span.SetTag("http.request.method", parent.OperationName);
            SetServer(span, attempt.Backend!.Address);
            span.SetTag("penstock.upstream", exchange.Route!.Upstream.Name);
            if (exchange.Retries > 0)
            {
                span.SetTag("http.request.resend_count", exchange.Retries);
            }
        }
    }

    /// <summary>Says why an attempt failed, also after the first bytes of its response.</summary>
    public static void NoteFailure(Attempt attempt, Outcome outcome)
    {
        if (attempt.Span is { } span && IsFault(outcome))
        {
            span.SetTag("error.type", Encoding.ASCII.GetString(outcome.Word()));
            span.SetStatus(ActivityStatusCode.Error);
        }
    }

    /// <summary>Ends the span of the attempt that lost a race, which is no error.</summary>
    public static void EndLoser(Attempt attempt)
    {
        attempt.Span?.SetTag("penstock.hedge", "lost");
        attempt.Span?.Stop();
        attempt.Span = null;
    }

    /// <summary>Ends the span of an attempt.</summary>
    public static void End(Attempt attempt)
    {
        if (attempt.Span is not { } span)
        {
            return;
        }
        attempt.Span = null;
        int status = attempt.Response.Status;
        if (status > 0)
        {
            span.SetTag("http.response.status_code", status);
        }
        if (status is 0 or >= 400 && span.Status != ActivityStatusCode.Error)
        {
            span.SetStatus(ActivityStatusCode.Error);
            span.SetTag("error.type", status == 0 ? "canceled" : status.ToString());
        }
        span.Stop();
    }

    /// <summary>Ends the span of an exchange.</summary>
    public static void End(Exchange exchange)
    {
        if (exchange.Span is not { } span)
        {
            return;
        }
        exchange.Span = null;
        if (span.IsAllDataRequested)
        {
            string reason = Encoding.ASCII.GetString(exchange.Outcome.Word());
            span.SetTag("http.response.status_code", exchange.Status == 0 ? null : exchange.Status);
            span.SetTag("penstock.reason", reason);
            if (exchange.Route is { } route)
            {
                span.SetTag("http.route", route.Config.Path ?? "/*");
                span.SetTag("penstock.route", route.Config.Name);
                span.DisplayName = $"{span.OperationName} {route.Config.Path ?? "/*"}";
            }
            if (exchange.Status is 0 or >= 500 || IsFault(exchange.Outcome))
            {
                span.SetStatus(ActivityStatusCode.Error);
                span.SetTag("error.type", exchange.Outcome == Outcome.Ok ? exchange.Status.ToString() : reason);
            }
        }
        span.Stop();
    }

    /// <summary>True for a field of the client that the backend must not get, because Penstock writes its own.
    /// </summary>
    public static bool IsReplaced(Exchange exchange, ReadOnlySpan<byte> name) => exchange.Span is not null
        && (IsTraceParent(name) || (!exchange.ContinuesTrace && Ascii.EqualsIgnoreCase(name, "tracestate"u8)));

    public static bool IsTraceParent(ReadOnlySpan<byte> name) => Ascii.EqualsIgnoreCase(name, "traceparent"u8);

    /// <summary>Writes the context for the backend.</summary>
    public static void WriteContext(ref HeadWriter to, Activity span)
    {
        to.Add("traceparent: "u8);
        Span<byte> text = stackalloc byte[64]; // 55 characters
        to.Add(text[..Encoding.ASCII.GetBytes(span.Id!, text)]);
        to.Add("\r\n"u8);
    }

    /// <summary>Starts a span without making it the current one of this thread, which runs other exchanges
    /// next.</summary>
    private static void Start(Activity span)
    {
        Activity? current = Activity.Current;
        span.SetIdFormat(ActivityIdFormat.W3C);
        span.Start();
        Activity.Current = current;
    }

    /// <summary>Sets address and port; a Unix domain socket has no port.</summary>
    private static void SetServer(Activity span, string authority)
    {
        int colon = authority.LastIndexOf(':');
        bool hasPort = int.TryParse(authority.AsSpan(colon + 1), out int port) && colon > authority.LastIndexOf(']');
        span.SetTag("server.address", (hasPort ? authority[..colon] : authority).Trim('[', ']'));
        span.SetTag("server.port", hasPort ? port : null);
    }

    /// <summary>The outcome is a failure of Penstock or of a backend, not of the client.</summary>
    private static bool IsFault(Outcome outcome) =>
        EndOf.Blame(outcome) is not null || outcome == Outcome.NoDescriptors;

    /// <summary>The value of a field that the request has once; null: it has none, or several.</summary>
    private static string? OnlyValue(RequestHead request, ReadOnlySpan<byte> head, ReadOnlySpan<byte> name)
    {
        string? value = null;
        foreach (ref readonly Field field in request.Fields)
        {
            if (Ascii.EqualsIgnoreCase(field.Name.Of(head), name))
            {
                if (value is not null)
                {
                    return null;
                }
                value = Encoding.ASCII.GetString(field.Value.Of(head));
            }
        }
        return value;
    }
}
