using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Penstock.Control.Admin;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary>What <c>penstock top</c> reads from the API at one moment.</summary>
/// <param name="Seconds">When, by a clock that only grows.</param>
/// <param name="Rejected">The clients with the most rejections.</param>
/// <param name="Lowest">The registered clients with the emptiest buckets.</param>
internal sealed record TopReading(double Seconds, StatusReport Status, IReadOnlyList<UpstreamStatus> Upstreams,
    IReadOnlyList<LimitedClient> Rejected, IReadOnlyList<ClientView> Lowest)
{
    /// <returns>Null, and why, if the API does not answer.</returns>
    public static async Task<(TopReading? Reading, string? Fault)> ReadAsync(AdminClient admin, int limit)
    {
        double seconds = (double)Stopwatch.GetTimestamp() / Stopwatch.Frequency;
        string? fault = null;
        return await GetAsync("/status", AdminJson.Answers.StatusReport) is { } status
            && await GetAsync("/upstreams", AdminJson.Answers.UpstreamPage) is { } upstreams
            && await GetAsync($"/rejections/top?limit={limit}", AdminJson.Answers.LimitedClientPage) is { } rejected
            && await GetAsync($"/buckets/lowest?limit={limit}", AdminJson.Answers.LowestBuckets) is { } lowest
            ? (new(seconds, status, upstreams.Items, rejected.Items, lowest.Items), null) : (null, fault);

        async Task<T?> GetAsync<T>(string path, JsonTypeInfo<T> type) where T : class
        {
            (T? value, _, fault) = await admin.AskAsync(HttpMethod.Get, path, type);
            return value;
        }
    }
}
