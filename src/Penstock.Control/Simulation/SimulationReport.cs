using System.ComponentModel;
using System.Globalization;
using System.Text.Json.Serialization;

namespace Penstock.Control.Simulation;

/// <summary>The result of a replay: what <c>penstock simulate --json</c> prints and <c>POST /simulate</c> answers.
/// </summary>
[Description("What a limit would have done to the requests of an access log.")]
internal sealed record SimulationReport
{
    [Description("The file's name; only in the output of the command.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Log { get; init; }

    [Description("Tokens in a full bucket.")]
    public required long Capacity { get; init; }

    [Description("Tokens that are refilled per second.")]
    public required double RatePerSec { get; init; }

    [Description("When the first request began.")]
    public required string First { get; init; }

    [Description("When the last request began.")]
    public required string Last { get; init; }

    [Description("Requests to which the limit applies.")]
    public required long Requests { get; init; }

    [Description("How many of them the limit rejects.")]
    public required long Rejected { get; init; }

    [Description("The share of the requests that the limit rejects, 0 to 1.")]
    public required double RejectedShare { get; init; }

    [Description("How many were rejected according to the log.")]
    public required long RejectedInLog { get; init; }

    [Description("How many the limit decides in the same way as in the log.")]
    public required long DecidedAsInLog { get; init; }

    [Description("Lines of requests to which no limit applied, for example because they had no route.")]
    public required long NotLimited { get; init; }

    [Description("Lines that are events of Penstock, where both streams of it are in one file.")]
    public required long Events { get; init; }

    [Description("Lines that could not be read and are not counted.")]
    public required long BadLines { get; init; }

    [Description("The maximum share of rejected requests that was asked for; null: none was.")]
    public required double? Target { get; init; }

    [Description("The smallest capacity, at this rate, that rejects at most this share; null if no share was given or "
        + "no capacity does.")]
    public required long? SmallestCapacity { get; init; }

    [Description("How many clients sent the requests.")]
    public required int Clients { get; init; }

    [Description("The seconds with the most rejections, the worst first.")]
    public required IReadOnlyList<WorstSecond> WorstSeconds { get; init; }

    [Description("The clients with the most rejections, those with the most first.")]
    public required IReadOnlyList<HardestClient> HardestClients { get; init; }

    [Description("The first bad lines; not in the output of the command, which prints them as warnings.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<BadLine>? FirstBadLines { get; init; }

    [Description("What other limits would have done; not in the output of the command.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SimulationGrid? Grid { get; init; }

    /// <param name="simulation">The simulation, after its run.</param>
    /// <param name="settings">What was asked for.</param>
    /// <param name="smallest">The smallest capacity that reaches the target; null if none does.</param>
    public static SimulationReport Of(
        LimitSimulation simulation, SimulationSettings settings, long? smallest) => new()
    {
        Capacity = simulation.Limit.Capacity,
        RatePerSec = simulation.Limit.RatePerSecond,
        First = Time(simulation.FirstUnixNs),
        Last = Time(simulation.LastUnixNs),
        Requests = simulation.Requests,
        Rejected = simulation.Rejected,
        RejectedShare = Share(simulation.Rejected, simulation.Requests),
        RejectedInLog = simulation.RejectedInLog,
        DecidedAsInLog = simulation.Agreed,
        NotLimited = simulation.Undecided,
        Events = simulation.Events,
        BadLines = simulation.BadLines,
        Target = settings.Target,
        SmallestCapacity = smallest,
        Clients = simulation.Clients.Count,
        WorstSeconds = [.. simulation.Worst.Select(static w => new WorstSecond(TimeOf(w.Second), w.Rejected))],
        HardestClients = [.. simulation.Clients
            .OrderByDescending(static c => c.Rejected).ThenByDescending(static c => c.Requests)
            .ThenBy(static c => c.Name, StringComparer.Ordinal).Take(settings.Top).Select(static c => new HardestClient(
                c.Name, c.Requests, c.Rejected, Share(c.Rejected, c.Requests),
                c.Rejected > 0 ? TimeOf(c.WorstSecond) : null, c.WorstRejected, c.CapacityForNone))],
    };

    private static double Share(long part, long whole) => whole == 0 ? 0 : Math.Round((double)part / whole, 6);

    private static string TimeOf(long second) => Time(second * 1_000_000_000);

    private static string Time(long unixNs) => DateTimeOffset.UnixEpoch.AddTicks(unixNs / 100)
        .ToString(unixNs % 1_000_000_000 == 0 ? "yyyy-MM-ddTHH:mm:ssZ" : "yyyy-MM-ddTHH:mm:ss.fffZ",
            CultureInfo.InvariantCulture);
}

internal sealed record WorstSecond(
    [property: Description("The beginning of the second.")] string Time,
    [property: Description("Requests that the limit rejects in it.")] long Rejected);

internal sealed record HardestClient(
    [property: Description("The client's name in the log.")] string Client,
    [property: Description("Its requests.")] long Requests,
    [property: Description("How many of them the limit rejects.")] long Rejected,
    [property: Description("Their share, 0 to 1.")] double RejectedShare,
    [property: Description("The second with the most rejections; null: it has none.")] string? WorstSecond,
    [property: Description("How many are rejected in that second.")] long WorstSecondRejected,
    [property: Description("The smallest capacity, at this rate, that would have rejected none of its requests.")]
    long CapacityForNone);

internal sealed record BadLine(
    [property: Description("The number of the line, counted from 1.")] long Line,
    [property: Description("What is wrong with it, to be read behind its name.")] string Fault);
