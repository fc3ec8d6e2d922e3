using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;

namespace Penstock.Proxy.Exchanges;

/// <summary>Writes the header fields that show a client the state of its limits.</summary>
internal static class LimitFieldsWriter
{
    /// <summary>Chooses which fields Penstock writes. They replace the backend's fields of the same names, so that a
    /// client sees only one state. But if the backend itself rejects the request (429), its fields stay, because they
    /// describe the limit that rejected it.</summary>
    /// <param name="response">The backend's response; null for an answer of Penstock.</param>
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

    /// <summary>Whether a backend's field is left out because Penstock writes it.</summary>
    public static bool Replaces(LimitFields ours, FieldName field) => field switch
    {
        FieldName.RateLimit or FieldName.RateLimitPolicy => ours is LimitFields.Standard or LimitFields.Both,
        FieldName.XRateLimitLimit or FieldName.XRateLimitRemaining or FieldName.XRateLimitReset =>
            ours is LimitFields.Legacy or LimitFields.Both,
        _ => false,
    };

    /// <param name="which">The result of <see cref="Choose"/>.</param>
    /// <param name="edits">Fields that the operator sets or removes are not written.</param>
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
        AppliedLimit nearest = default; // the limit with the smallest share left
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

    /// <summary>Dry-run limits are not shown. A concurrency limit is shown only when it rejects; at any other time its
    /// value would already be out of date.</summary>
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
