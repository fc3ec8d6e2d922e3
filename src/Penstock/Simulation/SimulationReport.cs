using System.Globalization;
using System.Text.Json.Nodes;
using Penstock.Commands;

namespace Penstock.Simulation;

/// <summary>The result of a replay, as text or as JSON.</summary>
/// <param name="Simulation">The simulation, after its run.</param>
/// <param name="Log">The file's name.</param>
/// <param name="Target">The maximum share of rejected requests; null if none was given.</param>
/// <param name="Smallest">The smallest capacity that reaches the target; null if none does.</param>
/// <param name="Top">How many clients to list at most.</param>
internal sealed record SimulationReport(
    LimitSimulation Simulation, string Log, double? Target, long? Smallest, int Top)
{
    private const int MaxName = 64;

    private IEnumerable<SimulatedClient> Hardest => Simulation.Clients
        .OrderByDescending(c => c.Rejected).ThenByDescending(c => c.Requests)
        .ThenBy(c => c.Name, StringComparer.Ordinal).Take(Top);

    public void WriteText(Terminal terminal)
    {
        (TextWriter to, LimitSimulation sim) = (terminal.Out, Simulation);
        to.WriteLine($"{Log}: {N(sim.Requests)} requests of {N(sim.Clients.Count)} clients, "
            + $"{Time(sim.FirstUnixNs)} to {Time(sim.LastUnixNs)}");
        to.WriteLine($"A limit of {N(sim.Limit.Capacity)} at once, then {Banner.RateText(sim.Limit.RatePerSecond)}, "
            + $"rejects {N(sim.Rejected)} ({Share(sim.Rejected, sim.Requests)}) "
            + $"of {N(sim.Clients.Count(c => c.Rejected > 0))} clients; {N(sim.RejectedInLog)} were rejected then.");
        if (Target is { } target)
        {
            to.WriteLine(Smallest is { } capacity
                ? $"The smallest capacity that rejects at most {target:0.###%}: {N(capacity)}."
                : $"No capacity at this rate rejects at most {target:0.###%}.");
        }
        to.WriteLine();
        TextTable.Write(terminal,
            [
                new("CLIENT"), new("REQUESTS", true), new("REJECTED", true), new("SHARE", true),
                new("WORST SECOND", true), new("IN IT", true), new("CAPACITY FOR NONE", true),
            ],
            [.. Hardest.Select(c => new[]
            {
                c.Name.Length <= MaxName ? c.Name : c.Name[..MaxName] + "…", N(c.Requests), N(c.Rejected),
                Share(c.Rejected, c.Requests), c.Rejected > 0 ? Time(c.WorstSecond * 1_000_000_000) : "-",
                N(c.WorstRejected), N(ForNone(c)),
            })]);
        if (sim.Clients.Count > Top)
        {
            to.WriteLine($"... and {N(sim.Clients.Count - Top)} more");
        }

        if (sim.Rejected > 0)
        {
            to.WriteLine();
            to.WriteLine("Worst moments: " + string.Join(", ",
                sim.Worst.Select(w => $"{Time(w.Second * 1_000_000_000)} ({N(w.Rejected)} rejected)")));
        }
    }

    public void WriteJson(Terminal terminal)
    {
        LimitSimulation sim = Simulation;
        terminal.Out.WriteLine(JsonOption.Text(new JsonObject
        {
            ["log"] = Log,
            ["capacity"] = sim.Limit.Capacity,
            ["rate_per_sec"] = sim.Limit.RatePerSecond,
            ["first"] = Time(sim.FirstUnixNs),
            ["last"] = Time(sim.LastUnixNs),
            ["requests"] = sim.Requests,
            ["rejected"] = sim.Rejected,
            ["rejected_share"] = Ratio(sim.Rejected, sim.Requests),
            ["rejected_in_log"] = sim.RejectedInLog,
            ["decided_as_in_log"] = sim.Agreed,
            ["not_limited"] = sim.Undecided,
            ["bad_lines"] = sim.BadLines,
            ["target"] = Target,
            ["smallest_capacity"] = Smallest,
            ["clients"] = sim.Clients.Count,
            ["worst_seconds"] = new JsonArray([.. sim.Worst.Select(w => new JsonObject
            {
                ["time"] = Time(w.Second * 1_000_000_000), ["rejected"] = w.Rejected,
            })]),
            ["hardest_clients"] = new JsonArray([.. Hardest.Select(c => new JsonObject
            {
                ["client"] = c.Name,
                ["requests"] = c.Requests,
                ["rejected"] = c.Rejected,
                ["rejected_share"] = Ratio(c.Rejected, c.Requests),
                ["worst_second"] = c.Rejected > 0 ? Time(c.WorstSecond * 1_000_000_000) : null,
                ["worst_second_rejected"] = c.WorstRejected,
                ["capacity_for_none"] = ForNone(c),
            })]),
        }));
    }

    /// <summary>The smallest capacity that would have rejected no request of the client.</summary>
    private static long ForNone(SimulatedClient client) => (long)Math.Ceiling(client.MaxTaken - 1e-6);

    private static string N(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    private static double Ratio(long part, long whole) => whole == 0 ? 0 : Math.Round((double)part / whole, 6);

    private static string Share(long part, long whole) =>
        (whole == 0 ? 0 : (double)part / whole).ToString("0.##%", CultureInfo.InvariantCulture);

    private static string Time(long unixNs) => DateTimeOffset.UnixEpoch.AddTicks(unixNs / 100)
        .ToString(unixNs % 1_000_000_000 == 0 ? "yyyy-MM-ddTHH:mm:ssZ" : "yyyy-MM-ddTHH:mm:ss.fffZ",
            CultureInfo.InvariantCulture);
}
