using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>Upstreams and their backends.</content>
internal static partial class ConfigBinder
{
    private static UpstreamConfig? NamedUpstream(
        Field field, IReadOnlyDictionary<string, LimitConfig> limits) => field.Section(upstream =>
    {
        if (!upstream.Has("backends"))
            field.Error("missing 'backends'");
        return Upstream(field.Name, upstream, LimitNames(upstream, limits) ?? []) with
        {
            BackendIdle = upstream["backend_idle"]?.Parse<TimeSpan>(TryDurationOrOff),
        };
    });

    private static UpstreamConfig Upstream(string name, Section upstream, ValueList<string> limits)
    {
        var items = upstream.Items("backends");
        if (items.Count == 0 && upstream["backends"] is { Node: EmptyNode or SequenceNode } empty)
            empty.Error("'backends' is empty: there is no server to send requests to");
        var read = items.Select(item => (At: item, Value: Backend(item)!)).Where(b => b.Value is not null).ToList();
        ReportRepeated("backend", read, backend => backend.Address);
        var balance = upstream.Value("balance", TryBalance, BalanceAlgorithm.RoundRobin);
        return new()
        {
            Name = name,
            Backends = [.. read.Select(b => b.Value)],
            Balance = balance,
            Hash = Hash(upstream["hash"], balance),
            Sticky = upstream["sticky"] is { } sticky && !sticky.Is("off", "false")
                ? sticky.Section(Sticky, expected: "a mapping or 'off'") : null,
            SlowStart = upstream.Value("slow_start", TryDurationOrOff, TimeSpan.Zero),
            Retries = Off(upstream["retries"]) ? RetriesDefault with { Attempts = 0 }
                : upstream.Group("retries", Retries, RetriesDefault),
            Queue = Off(upstream["queue"]) ? QueueDefault with { Length = 0 }
                : upstream.Group("queue", Queue, QueueDefault),
            Limits = limits,
            Hedge = upstream["hedge"] is { } hedge && !Off(hedge) ? hedge.Section(Hedge, expected: "{ after: 100ms }")
                : null,
            HealthCheck = HealthCheck(upstream["health_check"]),
            PassiveHealth = Off(upstream["passive_health"]) ? null
                : upstream["passive_health"] is { } passive
                    ? passive.Section(p => PassiveHealth(p, [.. read.Select(b => b.Value)]), PassiveHealthDefault,
                        "a mapping or 'off'")
                    : PassiveHealthDefault,
            ProxyProtocol = upstream.Value("send_proxy", OneOf(("off", 0), ("v1", 1), ("v2", 2)), 0),
        };
    }

    private static bool Off(Field? field) => field is not null && field.Is("off", "false");

    private static HashConfig Hash(Field? field, BalanceAlgorithm balance)
    {
        if (field is null)
            return new();
        if (balance != BalanceAlgorithm.Hash)
            field.Warning("'hash' is not looked at: 'balance' is not hash");
        return field.Node is not MappingNode ? field.Parse<HashConfig>(TryHashKey) ?? new() : field.Section(hash =>
            (hash.Value<HashConfig>("key", TryHashKey) ?? new()) with
            {
                Bound = hash.Value("bound", Share(1.05, 100), 0),
            }, new HashConfig())!;
    }

    private static StickyConfig Sticky(Section sticky)
    {
        var secret = sticky.Required<string>("secret", TryText) ?? "";
        if (sticky["secret"] is { } field && sticky.Sound && secret.Length < 16)
            field.Error("the secret is too short: whoever guesses it chooses backends",
                "write 16 characters or more, the same on every node, for example from the environment: \"${SECRET}\"");
        return new()
        {
            Secret = secret,
            Cookie = sticky.Value<string>("cookie", TryCookieName),
            MaxAge = sticky.Value("max_age", TryDurationOrOff, StickyDefault.MaxAge),
            Secure = sticky.Value("secure", TrySwitch, StickyDefault.Secure),
            Idle = sticky.Value("idle", TryDuration, StickyDefault.Idle),
        };
    }

    private static RetryConfig Retries(Section retries) => RouteRetries(retries) with
    {
        Share = retries.Value("budget", Share(0, 10), RetriesDefault.Share),
        Least = retries.Value("least", Whole(0, 1000), RetriesDefault.Least),
    };

    private static QueueConfig Queue(Section queue) => new()
    {
        Length = queue.Value("length", Whole(0, 1_000_000), QueueDefault.Length),
        Timeout = queue.Value("timeout", TryDuration, QueueDefault.Timeout),
    };

    private static HedgeConfig Hedge(Section hedge) =>
        new(hedge.Required<TimeSpan>("after", TryDuration) is var after && after > TimeSpan.Zero
            ? after : TimeSpan.FromSeconds(1));

    private static BackendConfig? Backend(Field item) =>
        item.Node is ScalarNode ? (item with { Name = "backend" }).Parse<BackendConfig>(TryBackend)
            : (item with { Name = "backend" }).Section(Backend, expected: "an address or a mapping");

    private static BackendConfig? Backend(Section backend)
    {
        var server = backend.Required<BackendConfig>("url", TryBackend);
        var weight = backend.Value("weight", Whole(1, 256), 1);
        var most = backend.Value("max_connections", Whole(0, 1_000_000), 0);
        var backup = backend.Value("backup", TrySwitch, false);
        return server is null ? null : server with { Weight = weight, MaxConnections = most, Backup = backup };
    }
}
