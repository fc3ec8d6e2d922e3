using System.Globalization;
using System.Text.RegularExpressions;

namespace Penstock.Control.Conversions;

/// <summary>Stick tables that count requests. <c>sc_http_req_rate(0) gt 20</c> with <c>http_req_rate(10s)</c> rejects
/// the 21st request of ten seconds, which is nearly a bucket of 20 tokens with a rate of 2/s.</summary>
internal sealed partial class HaproxyLimits(Conversion conversion)
{
    private readonly Dictionary<string, double> _periods = [];
    private readonly Dictionary<(string Section, string Counter), (string Table, string Key)> _tracked = [];

    /// <summary>Notes the tables of a section and what it counts in which.</summary>
    public void AddTables(HaproxySection section)
    {
        foreach (HaproxyLine line in section.Lines)
        {
            if (line.Begins("stick-table") && Period().Match(line.Text) is { Success: true } period
                && HaproxyConverter.DurationOf(period.Groups["time"].Value) is { } time)
            {
                _periods[section.Name] = Seconds(time);
            }
            if (Counter().Match(line.Word(1)) is { Success: true } track && line.Begins("http-request", track.Value))
            {
                string table = line.After("table") is { Length: > 0 } named ? named : section.Name;
                _tracked[(section.Name, track.Groups["number"].Value)] = (table, line.Word(2));
            }
        }
    }

    /// <returns>False if the line has nothing to do with limits.</returns>
    public bool TryUse(HaproxySection section, HaproxyLine line, HaproxyAcls acls, List<string> limits)
    {
        if (line.Begins("stick-table"))
        {
            if (!_periods.ContainsKey(section.Name))
            {
                conversion.Leave(line.Number, line.Text, "only tables that store http_req_rate(TIME) are converted");
            }
            return true;
        }
        if (line.Begins("http-request") && Counter().IsMatch(line.Word(1)))
        {
            return true;
        }
        if (line.Begins("acl") && line.Words.Any(static word => Rate().IsMatch(word)))
        {
            return true; // the line that uses it is converted
        }
        if (!line.Begins("http-request", "deny"))
        {
            return false;
        }
        if (RateTest(section, line, acls) is { } found && TryAdd(line, found, limits))
        {
            string status = line.After("deny_status");
            if (status is not ("429" or ""))
            {
                conversion.Leave(line.Number, $"deny_status {status}", "rejected requests get 429");
            }
            return true;
        }
        conversion.Leave(line.Number, line.Text,
            "only 'if { sc_http_req_rate(0) gt N }' is a limit, counted by src or a header field");
        return true;
    }

    private (long Above, string Table, string Key)? RateTest(HaproxySection section, HaproxyLine line, HaproxyAcls acls)
    {
        int start = line.Words.ToList().IndexOf("if");
        if (start < 0 || acls.Read([.. line.Words.Skip(start + 1)]) is not [[[var fetch, "gt", var bound]]]
            || Rate().Match(fetch) is not { Success: true } rate
            || !long.TryParse(bound, NumberStyles.None, CultureInfo.InvariantCulture, out long above))
        {
            return null;
        }
        return _tracked.TryGetValue((section.Name, rate.Groups["number"].Value), out (string Table, string Key) tracked)
            ? (above, tracked.Table, tracked.Key) : null;
    }

    private bool TryAdd(HaproxyLine line, (long Above, string Table, string Key) found, List<string> limits)
    {
        Match field = Field().Match(found.Key);
        if (!_periods.TryGetValue(found.Table, out double seconds) || found.Above == 0
            || (found.Key != "src" && !field.Success))
        {
            return false;
        }
        DraftMap limit = new DraftMap().Set("capacity", $"{found.Above}")
            .Set("rate", Conversion.RateOf(found.Above / seconds)).Set("by", field.Success ? "client" : "address");
        if (field.Success)
        {
            conversion.Root.Map("clients").Set("unknown", "own")
                .Set("identify", new List<object> { $"header:{field.Groups["name"].Value}", "address" });
        }
        string name = conversion.Root["limits"] is DraftMap known && known[Conversion.NameOf(found.Table)] is not null
            ? $"{found.Table}_{line.Number}" : found.Table;
        limits.Add(conversion.AddLimit(name, limit));
        return true;
    }

    private static double Seconds(string duration)
    {
        string number = duration.TrimEnd('s', 'm', 'h');
        return double.Parse(number, CultureInfo.InvariantCulture) * duration[number.Length..] switch
        {
            "ms" => 0.001,
            "m" => 60,
            "h" => 3600,
            _ => 1,
        };
    }

    [GeneratedRegex(@"http_req_rate\((?<time>[0-9a-z]+)\)", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Period();

    [GeneratedRegex("^track-sc(?<number>[0-9])$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Counter();

    [GeneratedRegex(@"^(sc_http_req_rate\((?<number>[0-9])\)|sc(?<number>[0-9])_http_req_rate)$",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Rate();

    [GeneratedRegex(@"^(req\.)?(hdr|fhdr)\((?<name>[^)]+)\)$", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Field();
}
