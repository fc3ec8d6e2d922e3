using System.Globalization;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>A client's numbers for named limits as one field of a CSV file: <c>search=5:1;login=3:0.1</c>, each a limit
/// with its capacity and its rate per second.</summary>
internal static class ClientFileText
{
    public static string LimitsOf(ClientTerms? terms) => terms is null ? "" : string.Join(';', terms.Limits
        .Select(static own => string.Create(CultureInfo.InvariantCulture,
            $"{own.Name}={own.Numbers.Capacity}:{own.Numbers.RatePerSecond}")));

    public static Dictionary<string, NumbersChange?> ReadLimits(string field, ClientDraft draft)
    {
        var limits = new Dictionary<string, NumbersChange?>();
        const StringSplitOptions Tidy = StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries;
        foreach (string item in field.Split(';', Tidy))
        {
            (int equals, int colon) = (item.IndexOf('='), item.LastIndexOf(':'));
            if (equals <= 0 || colon < equals
                || !long.TryParse(item[(equals + 1)..colon], CultureInfo.InvariantCulture, out long capacity)
                || !double.TryParse(item[(colon + 1)..], CultureInfo.InvariantCulture, out double rate))
            {
                draft.Fault(ClientDraft.Limits,
                    "must be LIMIT=CAPACITY:RATE_PER_SEC, separated by ';', such as search=5:1;login=3:0.1");
                return limits;
            }
            if (!limits.TryAdd(item[..equals], new(capacity, rate)))
            {
                draft.Fault($"{ClientDraft.Limits}.{item[..equals]}", "is given twice");
            }
        }
        return limits;
    }
}
