using Microsoft.Extensions.Logging;
using Penstock.Control.Admin;

namespace Penstock.Control.Telemetry;

/// <summary>How important an event must be to be written.</summary>
internal enum MinLevel
{
    Debug,
    Info,
    Warning,
    Error,
}

/// <summary>The lowest level of events that are written. The configuration sets it at start and at each reload; the
/// admin API sets it until then. Thread-safe.</summary>
internal sealed class EventThreshold
{
    private static readonly string Audit = typeof(AdminAudit).FullName!;

    private readonly MinLevel _standard;
    private volatile MinLevel _level;
    private volatile MinLevel _configured;

    /// <param name="standard">The level if the configuration names none.</param>
    public EventThreshold(MinLevel standard) => _standard = _level = _configured = standard;

    /// <summary>The level in force.</summary>
    public MinLevel Level
    {
        get => _level;
        set => _level = value;
    }

    /// <summary>The level to which the next reload returns if the configuration stays.</summary>
    public MinLevel Configured => _configured;

    /// <param name="level">The level of the configuration; null: it names none.</param>
    public void Configure(MinLevel? level) => _level = _configured = level ?? _standard;

    /// <summary>Whether an event is written. What was changed by the admin API is written at every level, unless a
    /// person reads the log (and the standard is a warning). Events of libraries below a warning are written only at
    /// <see cref="MinLevel.Debug"/>, and then from <see cref="LogLevel.Information"/> on.</summary>
    public bool Writes(string? category, LogLevel level)
    {
        if (category == Audit && _standard <= MinLevel.Info)
        {
            return true;
        }
        bool isOfLibrary = category is not null && (category.StartsWith("Microsoft", StringComparison.Ordinal)
            || category.StartsWith("System", StringComparison.Ordinal));
        return level >= (_level, isOfLibrary) switch
        {
            (MinLevel.Debug, false) => LogLevel.Debug,
            (MinLevel.Debug, true) => LogLevel.Information,
            (MinLevel.Info, false) => LogLevel.Information,
            (MinLevel.Error, _) => LogLevel.Error,
            _ => LogLevel.Warning,
        };
    }
}
