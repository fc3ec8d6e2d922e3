using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;

namespace Penstock.Proxy.Exchanges;

/// <summary>The fields that tell a client how it stands with its limits.</summary>
internal static class LimitFieldsWriter
{
    /// <summary>Which fields we write. A client is told one truth: where we write fields that the backend wrote too,
    /// ours replace them; but a backend that rejects a request itself (429) knows better why, and its fields stay.
    /// </summary>
    /// <param name="response">The backend's; null for an answer of our own.</param>
    public static LimitFields Choose(Exchange exchange, ResponseHead? response)
    {
        bool buckets = false;
        bool shown = false;
        foreach (ref readonly AppliedLimit charge in exchange.Admission.Limits)
        {
            shown |= IsShown(charge);
            buckets |= IsShown(charge) && charge.Limit is not null;
        }
        LimitFields which = shown ? exchange.Route?.LimitFields ?? LimitFields.Standard : LimitFields.Off;
        bool backendRejects = response?.Status == 429;
        bool standard = which is LimitFields.Standard or LimitFields.Both
            && !(backendRejects && response!.SawRateLimit);
        bool legacy = buckets && which is LimitFields.Legacy or LimitFields.Both
            && !(backendRejects && response!.SawXRateLimit);
        return (standard, legacy) switch
        {
            (true, true) => LimitFields.Both,
            (true, false) => LimitFields.Standard,
            (false, true) => LimitFields.Legacy,
            _ => LimitFields.Off,
        };
    }

    /// <summary>Is a backend's field left out because we write it?</summary>
    public static bool Replaces(LimitFields ours, FieldName field) => field switch
    {
        FieldName.RateLimit or FieldName.RateLimitPolicy => ours is LimitFields.Standard or LimitFields.Both,
        FieldName.XRateLimitLimit or FieldName.XRateLimitRemaining or FieldName.XRateLimitReset =>
            ours is LimitFields.Legacy or LimitFields.Both,
        _ => false,
    };

    /// <param name="which">As <see cref="Choose"/> says.</param>
    /// <param name="edits">What the operator sets or removes is not ours to write.</param>
    public static void Write(ref HeadWriter to, Exchange exchange, LimitFields which, HeaderEdits? edits)
    {
        if (which is LimitFields.Standard or LimitFields.Both)
        {
            WriteStandard(ref to, exchange.Admission);
        }
        if (which is LimitFields.Legacy or LimitFields.Both)
        {
            WriteLegacy(ref to, exchange.Admission, edits);
        }
    }

    /// <summary>RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11): each a list of the limits.
    /// </summary>
    private static void WriteStandard(ref HeadWriter to, Admission admission)
    {
        int shown = 0;
        foreach (ref readonly AppliedLimit charge in admission.Limits)
        {
            if (IsShown(charge))
            {
                to.Add(shown++ == 0 ? "RateLimit-Policy: "u8 : ", "u8);
                to.Add(charge.Full ? charge.Rule.ConcurrencyPolicyField : charge.Limit!.PolicyField);
            }
        }
        if (shown == 0)
        {
            return;
        }
        to.Add("\r\n"u8);
        shown = 0;
        foreach (ref readonly AppliedLimit charge in admission.Limits)
        {
            if (!IsShown(charge))
            {
                continue;
            }
            to.Add(shown++ == 0 ? "RateLimit: "u8 : ", "u8);
            to.Add(charge.Full ? charge.Rule.StateField : charge.Limit!.StateField);
            to.Add(charge.Full ? 0 : charge.WholeTokens);
            if (!charge.Full)
            {
                to.Add(";t="u8);
                to.Add(charge.SecondsToNextToken);
            }
        }
        to.Add("\r\n"u8);
    }

    private static void WriteLegacy(ref HeadWriter to, Admission admission, HeaderEdits? edits)
    {
        AppliedLimit nearest = default; // of the smallest share left
        double least = double.MaxValue;
        foreach (ref readonly AppliedLimit charge in admission.Limits)
        {
            double left = charge.Limit is null ? 0 : (double)charge.WholeTokens / charge.Limit.Config.Capacity;
            if (IsShown(charge) && charge.Limit is not null && left < least)
            {
                nearest = charge;
                least = left;
            }
        }
        if (nearest.Limit is null)
        {
            return;
        }
        Field(ref to, edits, "X-RateLimit-Limit"u8, nearest.Limit.Config.Capacity);
        Field(ref to, edits, "X-RateLimit-Remaining"u8, nearest.WholeTokens);
        Field(ref to, edits, "X-RateLimit-Reset"u8, nearest.SecondsToFull);
    }

    /// <summary>Limits in dry run are nobody's business yet, and one that bounds requests at the same time tells its
    /// state only when it rejects: it would be stale at once.</summary>
    private static bool IsShown(in AppliedLimit charge) =>
        (charge.Full || charge.Limit is not null) && charge.Rule.Config is { Hidden: false, DryRun: false };

    private static void Field(ref HeadWriter to, HeaderEdits? edits, ReadOnlySpan<byte> name, long value)
    {
        if (edits?.Drops(name) == true)
        {
            return;
        }
        to.Add(name);
        to.Add(": "u8);
        to.Add(value);
        to.Add("\r\n"u8);
    }
}
