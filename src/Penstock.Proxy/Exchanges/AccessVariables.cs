using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using static Penstock.Proxy.Exchanges.AccessVariable;

namespace Penstock.Proxy.Exchanges;

/// <summary>The values of the access log. The members of a JSON line have this order.</summary>
internal static class AccessVariables
{
    private const int MaxNameBytes = 256;
    private const int MaxWordBytes = 64;

    public static readonly AccessVariable[] All =
    [
        new("time", "when the response was complete, UTC", MaxWordBytes, static (in e) => e.IsoTime()),
        new("client", "the identifier under which the request was counted; the hash of one from `Authorization`",
            4 * MaxNameBytes, static (in e) => e.Client()),
        new("identified_by", "where this identifier was found: the entry of `clients.identify`",
            MaxNameBytes, static (in e) => e.Exchange.IdentifiedBy) { IsOptional = true },
        new("client_address", "the address of the caller; behind trusted proxies the address that they report",
            MaxWordBytes, static (in e) => e.Exchange.Caller is { } caller ? caller.Text : default),
        new("method", "of the request, as sent", MaxWordBytes, static (in e) => e.Of(e.Request.MethodName)),
        new("host", "of the request, as sent", AccessEntry.MaxTextBytes, static (in e) => e.Of(e.Request.Authority)),
        new("path", "of the request, as sent; with its query only if `query: true`",
            AccessEntry.MaxTextBytes, static (in e) => e.Target(e.Of(e.Request.Target))),
        new("status", "of the response; when the client closed its connection before there was one, 0 in JSON and 499 "
            + "elsewhere", Form.Status, static (in e) => e.Exchange.Status),
        new("bytes_in", "bytes of the request's body", Form.Whole, static (in e) => e.Exchange.BytesIn),
        new("bytes_out", "bytes of the response's body", Form.Whole, static (in e) => e.Exchange.BytesOut),
        new("duration_ms", "from the first byte of the request to the last byte of the response",
            Form.Milliseconds, static (in e) => e.DurationNs),
        new("upstream_ms", "from the end of sending the request to the arrival of the response head",
            Form.Milliseconds, static (in e) =>
                e.Exchange.ResponseNs > 0 ? e.Exchange.ResponseNs - e.Exchange.SentNs : -1) { IsOptional = true },
        new("route", "the route that the request took", 2 * MaxNameBytes,
            static (in e) => e.Exchange.Route?.NameBytes) { IsOptional = true },
        new("upstream", "the upstream of this route", MaxNameBytes,
            static (in e) => e.Exchange.Route?.Upstream.NameBytes) { IsOptional = true },
        new("backend", "the backend that got the request", MaxNameBytes,
            static (in e) => e.Exchange.Backend?.AddressBytes) { IsOptional = true },
        new("retries", "attempts that failed before", Form.Whole, static (in e) => e.Exchange.Retries),
        new("exempt", "`true` when no limit applies to the client",
            Form.Flag, static (in e) => e.Exchange.Exempt ? 1 : -1) { IsOptional = true },
        new("limit", "the limit that rejected the request, otherwise the client's", MaxNameBytes,
            static (in e) => e.Exchange.Admission.TryGetDecisive(out AppliedLimit charge) ? charge.NameBytes
                : default) { IsOptional = true },
        new("tokens_left", "whole tokens left in the bucket of this limit",
            Form.Whole, static (in e) => e.Exchange.Admission.TryGetDecisive(out AppliedLimit charge)
                && charge.Limit is not null ? charge.WholeTokens : -1) { IsOptional = true },
        new("dry_run_rejects", "the dry-run limit that would have rejected the request", MaxNameBytes,
            static (in e) => e.Exchange.Admission.DryRejection?.NameBytes) { IsOptional = true },
        new("reason", "[how the request ended](#reasons), one word", MaxWordBytes,
            static (in e) => e.Exchange.Outcome.Word()),
        new("fault", "for `bad_request` and `upstream_invalid`: what exactly was wrong", MaxWordBytes,
            static (in e) => e.Exchange.Fault == HttpFault.None ? default : e.Exchange.Fault.Bytes())
        {
            IsOptional = true,
        },
        new("sample", "how many requests the line stands for, if `sample` applies to its status",
            Form.Whole, static (in e) => e.Sample > 1 ? e.Sample : -1) { IsOptional = true },
        new("request_id", "as in `X-Request-Id`, which both sides get", Exchange.MaxRequestIdBytes,
            static (in e) => e.Exchange.RequestId),
        new("time_common", "as `time`, in the form `21/Nov/2026:04:05:06 +0000`", MaxWordBytes,
            static (in e) => e.CommonTime()) { OnlyInTemplates = true },
        new("request", "method, `path` and version: `GET /v1/a HTTP/1.1`", AccessEntry.MaxTextBytes + MaxWordBytes,
            static (in e) => e.RequestLine()) { OnlyInTemplates = true },
        new("referer", "the `Referer` field of the request; with a query only if `query: true`",
            AccessEntry.MaxTextBytes, static (in e) => e.Target(e.Field("referer"u8))) { OnlyInTemplates = true },
        new("user_agent", "the `User-Agent` field of the request", AccessEntry.MaxTextBytes,
            static (in e) => e.Field("user-agent"u8)) { OnlyInTemplates = true },
    ];
}
