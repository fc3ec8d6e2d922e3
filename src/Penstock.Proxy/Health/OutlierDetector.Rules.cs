using System.Globalization;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>The three rules for an ejection: errors in a row, share of errors, latency.</summary>
internal sealed partial class OutlierDetector
{
    /// <summary>With fewer other backends, a slow one cannot be told from an unusually fast one.</summary>
    private const int MinOthers = 2;

    /// <summary>Called by a loop, so that an ejection takes effect before the next request.</summary>
    private void OnErrors(OutlierRecord record, BackendError error, int status)
    {
        lock (_lock)
        {
            if (_config is not { } config || !_records.ContainsKey(record.Backend))
            {
                return;
            }
            string cause = $"{config.ConsecutiveErrors} errors in a row, the last: {Describe(error, status)}";
            if (!FailsMoreThanOthers(record, errors: 1, total: 1))
            {
                record.Backend.Traffic.ForgetErrors();
                LogNotEjected(record, cause, "the other backends fail as well");
                return;
            }
            Eject(record, cause,
                endsByChecks: error is BackendError.Connect or BackendError.Timeout or BackendError.Reset);
        }
    }

    private void JudgeWindows(PassiveHealthConfig config)
    {
        foreach (OutlierRecord record in _records.Values)
        {
            TrafficCounts window = record.Window();
            if (config.ErrorSharePercent > 0 && window.Total >= config.MinRequests && window.Errors > 0
                && window.Errors * 100L >= (long)config.ErrorSharePercent * window.Total
                && record.Backend.Ejection is null && FailsMoreThanOthers(record, window.Errors, window.Total))
            {
                Eject(record, string.Create(CultureInfo.InvariantCulture,
                    $"{window.Errors} of {window.Total} requests failed in {config.Window.TotalSeconds:0.###} s"));
            }
        }
        if (config.LatencyFactor > 0)
        {
            JudgeLatencies(config, backup: false);
            JudgeLatencies(config, backup: true);
        }
        foreach (OutlierRecord record in _records.Values)
        {
            record.Slide();
        }
    }

    /// <summary>Compares each backend's median with the median of the others' medians. Of two middle values the larger
    /// counts, so that two slow backends are not ejected because a third is fast.</summary>
    private void JudgeLatencies(PassiveHealthConfig config, bool backup)
    {
        (OutlierRecord Record, long MedianNs)[] known =
        [
            .. Group(backup).Where(b => b.Ejection is null && _records.ContainsKey(b)).Select(b => _records[b])
                .Select(static r => (Record: r, r.Window().Latencies))
                .Where(r => r.Latencies.Total >= config.MinRequests)
                .Select(static r => (r.Record, MedianNs: r.Latencies.QuantileNs(0.5)))
                .OrderBy(static r => r.MedianNs),
        ];
        for (int i = known.Length - 1; i >= MinOthers; i--)
        {
            // The median of all entries but the i-th. They are sorted; skip i if it is at or before the middle.
            int others = known.Length - 1;
            long usualNs = known[others / 2 < i ? others / 2 : (others / 2) + 1].MedianNs;
            long medianNs = known[i].MedianNs;
            if (medianNs < config.LatencyFloor.TotalNanoseconds || medianNs <= config.LatencyFactor * usualNs)
            {
                return; // all others are faster
            }
            Eject(known[i].Record, string.Create(CultureInfo.InvariantCulture,
                $"median latency {medianNs / 1e6:0} ms, {(double)medianNs / usualNs:0.#} times that of the others"));
        }
    }

    /// <summary>Is the backend's share of errors more than twice that of the others in its group (primaries or
    /// backups)?</summary>
    private bool FailsMoreThanOthers(OutlierRecord record, long errors, long total)
    {
        long otherErrors = 0;
        long otherTotal = 0;
        foreach (OutlierRecord other in _records.Values)
        {
            if (other != record && other.Backend.Config.Backup == record.Backend.Config.Backup)
            {
                TrafficCounts window = other.Window();
                otherErrors += window.Errors;
                otherTotal += window.Total;
            }
        }
        return otherTotal == 0 || otherErrors * 2 * total < errors * otherTotal;
    }

    private static string Describe(BackendError error, int status) => error switch
    {
        BackendError.Connect => "no connection",
        BackendError.Timeout => "no response in time",
        BackendError.Reset => "connection closed without a whole response",
        BackendError.Invalid => "invalid response",
        _ => $"status {status}",
    };
}
