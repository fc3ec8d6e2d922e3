using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>The fields that tell a client how it stands with its limits.</summary>
internal static class LimitFieldsWriter
{
    public static void Write(ref HeadWriter to, Exchange exchange)
    {
        if (exchange.Admission.Charges.IsEmpty)
        {
            return;
        }
        LimitFields which = exchange.Route?.LimitFields ?? LimitFields.Standard;
        if (which is LimitFields.Standard or LimitFields.Both)
        {
            WriteStandard(ref to, exchange.Admission);
        }
        if (which is LimitFields.Legacy or LimitFields.Both)
        {
            WriteLegacy(ref to, exchange.Admission);
        }
    }

    /// <summary>RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11): each a list of the limits.
    /// </summary>
    private static void WriteStandard(ref HeadWriter to, Admission admission)
    {
        int shown = 0;
        foreach (ref readonly Charge charge in admission.Charges)
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
        foreach (ref readonly Charge charge in admission.Charges)
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

    private static void WriteLegacy(ref HeadWriter to, Admission admission)
    {
        Charge nearest = default; // of the smallest share left
        double least = double.MaxValue;
        foreach (ref readonly Charge charge in admission.Charges)
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
        Field(ref to, "X-RateLimit-Limit: "u8, nearest.Limit.Config.Capacity);
        Field(ref to, "X-RateLimit-Remaining: "u8, nearest.WholeTokens);
        Field(ref to, "X-RateLimit-Reset: "u8, nearest.SecondsToFull);
    }

    /// <summary>Limits in dry run are nobody's business yet, and one that bounds requests at the same time tells its
    /// state only when it refuses: it would be stale at once.</summary>
    private static bool IsShown(in Charge charge) =>
        (charge.Full || charge.Limit is not null) && charge.Rule.Config is { Hidden: false, DryRun: false };

    private static void Field(ref HeadWriter to, ReadOnlySpan<byte> name, long value)
    {
        to.Add(name);
        to.Add(value);
        to.Add("\r\n"u8);
    }
}
