using Penstock.Control.Config;
using Penstock.Control.Simulation;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>The parameters of <c>POST /simulate</c> as texts; null: not given. They have the syntax and the errors of
/// the options of <c>penstock simulate</c>.</summary>
internal sealed record SimulationQuery(
    string? Capacity, string? Rate, string? Key, string? Format, string? Target, string? Top)
{
    private const long MaxCapacity = 1_000_000_000;
    private const int MaxTop = 1000;

    /// <param name="faults">All faults.</param>
    /// <returns>Null if there is a fault.</returns>
    public SimulationSettings? Read(out List<FieldFault> faults)
    {
        var found = new List<FieldFault>();
        string? error = "is required";
        long capacity = 0;
        if (Capacity is null || !ConfigValue.TryBetween(Capacity, 1, MaxCapacity, out capacity, out error))
        {
            found.Add(new("capacity", error));
        }

        error = "is required";
        double rate = 0;
        bool hasRate = Rate is not null && ConfigValue.TryRate(Rate, out rate, out error);
        if (!hasRate)
        {
            found.Add(new("rate", error));
        }
        else if (Limiter.Fault(capacity == 0 ? null : capacity, rate) is { } fault)
        {
            found.Add(new(fault.Of == LimitNumber.Rate ? "rate" : "capacity", fault.Message));
        }

        string word = Format ?? SimulationSettings.Formats[0];
        string key = Key ?? SimulationSettings.DefaultKey;
        if (!ConfigValue.TryOneOf(word, SimulationSettings.Formats, out error))
        {
            found.Add(new("format", error));
        }
        else if (SimulationSettings.KeyFault(SimulationSettings.FormatOf(word), key) is { } keyFault)
        {
            found.Add(new("key", keyFault));
        }

        double share = 0;
        if (Target is not null && !SimulationSettings.TryShare(Target, out share, out error))
        {
            found.Add(new("target", error));
        }

        int top = SimulationSettings.DefaultTop;
        if (Top is not null && !ConfigValue.TryBetween(Top, 1, MaxTop, out top, out error))
        {
            found.Add(new("top", error));
        }

        faults = found;
        return found.Count > 0 ? null : new(new(capacity, rate), key, SimulationSettings.FormatOf(word),
            Target is null ? null : share, top);
    }
}
