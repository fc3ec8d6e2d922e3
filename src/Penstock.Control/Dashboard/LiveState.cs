using System.ComponentModel;
using System.Text.Json.Serialization;
using Penstock.Control.Admin;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Dashboard;

[Description("What the dashboard shows of this moment.")]
internal sealed record LiveState
{
    public required DateTimeOffset Time { get; init; }

    [Description("The version of Penstock.")]
    public required string Version { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    [Description("Penstock drains and ends.")]
    public required bool Stopping { get; init; }

    [Description("What an operator should look at, as in `GET /status`.")]
    public required IReadOnlyList<string> Warnings { get; init; }

    [Description("Requests that have ended since the start.")]
    public required long Requests { get; init; }

    [Description("Registered clients.")]
    public required int Clients { get; init; }

    public required StoreReport Store { get; init; }

    public required ConfigurationReport Configuration { get; init; }

    [Description("The routes of the configuration in force.")]
    public required IReadOnlyList<LiveRoute> Routes { get; init; }

    [Description("Over the last seconds.")]
    public required TrafficRates Traffic { get; init; }

    [Description("The registered clients with the emptiest buckets, as in `GET /buckets/lowest`.")]
    public required IReadOnlyList<Vessel> Lowest { get; init; }

    [Description("The clients with the most rejections, as in `GET /rejections/top`.")]
    public required IReadOnlyList<Vessel> MostLimited { get; init; }

    [Description("The last events, the oldest first.")]
    public required IReadOnlyList<Mark> Marks { get; init; }
}

internal sealed record LiveRoute(
    string Name, string Upstream,
    [property: Description("The host that it is for; null: all.")] string? Host,
    [property: Description("The path that it is for; null: all.")] string? Path);

[Description("A client and its bucket.")]
internal sealed record Vessel
{
    public required string Client { get; init; }

    [Description("The limit; `client`: the client's own.")]
    public required string Limit { get; init; }

    [Description("Whether the client is registered, so that its numbers can be edited.")]
    public required bool Registered { get; init; }

    [Description("Null: the limit has no bucket.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Capacity { get; init; }

    [Description("Tokens that are refilled per second.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RatePerSec { get; init; }

    [Description("Tokens in the bucket now; null: not known, because Penstock keeps no names of unregistered clients.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Tokens { get; init; }

    [Description("Rejected requests since the start.")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Rejected { get; init; }
}

/// <summary>Reads what the dashboard shows of clients. Reading all buckets takes long with a million clients, so that
/// it is read again only after a hundred times as long. One caller at a time.</summary>
internal sealed class VesselReader(ProxyServer proxy, TimeProvider time)
{
    /// <summary>How many of each kind.</summary>
    public const int Count = 12;

    /// <summary>The limit in <c>/rejections</c> that stands for the clients' own.</summary>
    private const string OwnLimit = "client";

    private IReadOnlyList<Vessel> _lowest = [];
    private long _readAt = long.MinValue;
    private TimeSpan _took;

    public IReadOnlyList<Vessel> Lowest()
    {
        long now = time.GetTimestamp();
        if (_readAt == long.MinValue || time.GetElapsedTime(_readAt, now) >= _took * 100)
        {
            _lowest = [.. proxy.Limiter.Clients.Lowest(Count).Select(static client => Of(client, OwnLimit))];
            (_took, _readAt) = (time.GetElapsedTime(now), now);
        }
        return _lowest;
    }

    public IReadOnlyList<Vessel> MostLimited() =>
    [
        .. proxy.MostLimited(Count).Select(one =>
        {
            bool registered = proxy.Limiter.Clients.TryGet(one.Client, out ClientState client);
            return registered && one.Limit == OwnLimit ? Of(client, one.Limit) with { Rejected = one.Rejected }
                : Of(one, proxy.Limiter.Configured.GetValueOrDefault(one.Limit)) with { Registered = registered };
        }),
    ];

    private static Vessel Of(ClientState client, string limit)
    {
        var view = ClientView.Of(client);
        return new()
        {
            Client = client.ClientId,
            Limit = limit,
            Registered = true,
            Capacity = view.Capacity,
            RatePerSec = view.RatePerSec,
            Tokens = view.CurrentTokens,
        };
    }

    private static Vessel Of(LimitedClient client, LimitConfig? limit) => new()
    {
        Client = client.Client,
        Limit = client.Limit,
        Registered = false,
        Capacity = limit is { Capacity: > 0 } ? limit.Capacity : null,
        RatePerSec = limit is { Capacity: > 0 } ? limit.RatePerSecond : null,
        Rejected = client.Rejected,
    };
}
