using System.Globalization;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>Writes the access log's line of an exchange: one JSON object.</summary>
internal static class AccessLine
{
    /// <summary>Every line fits into this. Its texts have at most 2, 2 and 1 KiB, and escaping makes a byte at most six
    /// times as long.</summary>
    public const int MaxBytes = 36 * 1024;

    /// <summary>Longer targets and hosts are shortened, so that a line always fits.</summary>
    private const int MaxTextBytes = 2048;

    /// <param name="head">The buffer that starts with the request's head.</param>
    public static void Write(ref HeadWriter line, Exchange exchange, ReadOnlySpan<byte> head, DateTimeOffset time,
        long nowNs)
    {
        RequestHead request = exchange.Request;
        line.Add("{\"time\":\""u8);
        Span<byte> text = stackalloc byte[40];
        time.TryFormat(text, out int written, "yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
        line.Add(text[..written]);
        line.Add("\""u8);
        Text(ref line, ",\"client\":"u8, exchange.ClientName);
        if (exchange.IdentifiedBy is { } key)
        {
            Text(ref line, ",\"identified_by\":"u8, key);
        }
        Text(ref line, ",\"client_address\":"u8, exchange.Caller is null ? default : exchange.Caller.Text);
        Text(ref line, ",\"method\":"u8, Slice(request.MethodName, head));
        Text(ref line, ",\"host\":"u8, Slice(request.Authority, head));
        Text(ref line, ",\"path\":"u8, Slice(request.Target, head));
        Number(ref line, ",\"status\":"u8, exchange.Status);
        Number(ref line, ",\"bytes_in\":"u8, exchange.BytesIn);
        Number(ref line, ",\"bytes_out\":"u8, exchange.BytesOut);
        Milliseconds(ref line, ",\"duration_ms\":"u8, nowNs - exchange.StartNs);
        if (exchange.ResponseNs > 0)
        {
            Milliseconds(ref line, ",\"upstream_ms\":"u8, exchange.ResponseNs - exchange.SentNs);
        }
        if (exchange.Route is { } route)
        {
            Text(ref line, ",\"route\":"u8, route.NameBytes);
            Text(ref line, ",\"upstream\":"u8, route.Upstream.NameBytes);
        }
        if (exchange.Backend is { } backend)
        {
            Text(ref line, ",\"backend\":"u8, backend.AddressBytes);
        }
        Number(ref line, ",\"retries\":"u8, exchange.Retries);
        if (exchange.Exempt)
        {
            line.Add(",\"exempt\":true"u8);
        }
        Limits(ref line, exchange.Admission);
        Text(ref line, ",\"reason\":"u8, exchange.Outcome.Word());
        if (exchange.Fault != HttpFault.None)
        {
            Text(ref line, ",\"fault\":"u8, exchange.Fault.Bytes());
        }
        Text(ref line, ",\"request_id\":"u8, exchange.RequestId);
        line.Add("}\n"u8);
    }

    private static void Limits(ref HeadWriter line, Admission admission)
    {
        if (admission.TryGetDecisive(out AppliedLimit charge))
        {
            Text(ref line, ",\"limit\":"u8, charge.NameBytes);
            if (charge.Limit is not null)
            {
                Number(ref line, ",\"tokens_left\":"u8, charge.WholeTokens);
            }
        }
        if (admission.DryRejection is { } dry)
        {
            Text(ref line, ",\"dry_run_rejects\":"u8, dry.NameBytes);
        }
    }

    private static ReadOnlySpan<byte> Slice(Slice stretch, ReadOnlySpan<byte> head) =>
        stretch.Length == 0 || stretch.Start + stretch.Length > head.Length ? default
        : head.Slice(stretch.Start, Math.Min(stretch.Length, MaxTextBytes));

    private static void Text(ref HeadWriter line, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        line.Add(name);
        JsonText.AddString(ref line, value);
    }

    private static void Number(ref HeadWriter line, ReadOnlySpan<byte> name, long value)
    {
        line.Add(name);
        line.Add(value);
    }

    /// <summary>Writes a time in milliseconds with three decimals.</summary>
    private static void Milliseconds(ref HeadWriter line, ReadOnlySpan<byte> name, long ns)
    {
        line.Add(name);
        Span<byte> text = stackalloc byte[32];
        (Math.Max(0, ns) / 1_000_000.0).TryFormat(text, out int written, "F3", CultureInfo.InvariantCulture);
        line.Add(text[..written]);
    }
}
