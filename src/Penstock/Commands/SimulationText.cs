using System.Globalization;
using Penstock.Control.Simulation;
using Penstock.Proxy;

namespace Penstock.Commands;

/// <summary>The result of a replay for a person.</summary>
internal static class SimulationText
{
    private const int MaxName = 64;

    public static void Write(Terminal terminal, SimulationReport it, int rejectedClients)
    {
        TextWriter to = terminal.Out;
        to.WriteLine($"{it.Log}: {Counted.InGroups(it.Requests, "request")} of "
            + $"{Counted.InGroups(it.Clients, "client")}, {it.First} to {it.Last}");
        to.WriteLine($"A limit of {N(it.Capacity)} at once, then {Banner.RateText(it.RatePerSec)}, "
            + $"rejects {N(it.Rejected)} ({Share(it.Rejected, it.Requests)}) "
            + $"of {Counted.InGroups(rejectedClients, "client")}; "
            + $"{N(it.RejectedInLog)} {(it.RejectedInLog == 1 ? "was" : "were")} rejected then.");
        if (it.Events > 0)
        {
            to.WriteLine($"{Counted.InGroups(it.Events, "line")} {(it.Events == 1 ? "is an event" : "are events")} of "
                + "Penstock, not of a request.");
        }

        if (it.Target is { } target)
        {
            to.WriteLine(it.SmallestCapacity is { } capacity
                ? $"The smallest capacity that rejects at most {target:0.###%}: {N(capacity)}."
                : $"No capacity at this rate rejects at most {target:0.###%}.");
        }
        to.WriteLine();
        TextTable.Write(terminal,
            [
                new("CLIENT"), new("REQUESTS", true), new("REJECTED", true), new("SHARE", true),
                new("WORST SECOND", true), new("IN IT", true), new("CAPACITY FOR NONE", true),
            ],
            [.. it.HardestClients.Select(static c => new[]
            {
                c.Client.Length <= MaxName ? c.Client : c.Client[..MaxName] + "…", N(c.Requests), N(c.Rejected),
                Share(c.Rejected, c.Requests), c.WorstSecond ?? "-", N(c.WorstSecondRejected), N(c.CapacityForNone),
            })]);
        if (it.Clients > it.HardestClients.Count)
        {
            to.WriteLine($"... and {N(it.Clients - it.HardestClients.Count)} more");
        }

        if (it.Rejected > 0)
        {
            to.WriteLine();
            to.WriteLine("Worst moments: "
                + string.Join(", ", it.WorstSeconds.Select(static w => $"{w.Time} ({N(w.Rejected)} rejected)")));
        }
    }

    private static string N(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Share(long part, long whole) =>
        (whole == 0 ? 0 : (double)part / whole).ToString("0.##%", CultureInfo.InvariantCulture);
}
