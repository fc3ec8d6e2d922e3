using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>Clients and limits.</content>
internal static partial class ConfigBinder
{
    private static LimitConfig Limit(Field field)
    {
        if (field.Name is "capacity" or "rate" && field.Node is ScalarNode)
        {
            field.Error("limits have names", "write default: { capacity: 100, rate: 10/s }");
            return new(0, 0);
        }
        return field.Section(Limit, new LimitConfig(0, 0), "{ capacity, rate }");
    }

    private static LimitConfig Limit(Section limit)
    {
        var bucket = limit.Has("capacity") || limit.Has("rate") || !limit.Has("concurrent");
        var config = new LimitConfig(bucket ? limit.Required<long>("capacity", TryWhole) : 0,
            bucket ? limit.Required<double>("rate", TryRate) : 0)
        {
            By = limit.Value("by", OneOf(("client", LimitKey.Client), ("address", LimitKey.Address),
                ("all", LimitKey.All)), LimitKey.Client),
            Concurrent = limit.Value("concurrent", Whole(1, 1_000_000), 0),
            DryRun = limit.Value("dry_run", TrySwitch, false),
            Hidden = limit.Value("hidden", TrySwitch, false),
            CountsStatuses = [.. limit.Items("statuses").Select(item => item.Parse(Whole(100, 599), 500)).Distinct()],
        };
        if (!bucket && config.CountsStatuses.Count > 0)
            limit["statuses"]!.Error("'statuses' says what takes tokens, and this limit has none",
                "add capacity and rate");
        if (bucket && limit.Sound && Limiter.Fault(config.Capacity, config.RatePerSecond) is { } fault)
            limit[Limiter.Fault(config.Capacity, 1) is null ? "rate" : "capacity"]!.Refuse(fault);
        return config;
    }

    private static LimitConfig Plan(Field field)
    {
        if (field.Name is "capacity" or "rate" && field.Node is ScalarNode)
        {
            field.Error("plans have names", "write gold: { capacity: 1000, rate: 50/s }");
            return new(0, 0);
        }
        return field.Section(static plan =>
        {
            var numbers = new LimitConfig(plan.Required<long>("capacity", TryWhole),
                plan.Required<double>("rate", TryRate));
            if (plan.Sound && Limiter.Fault(numbers.Capacity, numbers.RatePerSecond) is { } fault)
                plan[Limiter.Fault(numbers.Capacity, 1) is null ? "rate" : "capacity"]!.Refuse(fault);
            return numbers;
        }, new LimitConfig(0, 0), "{ capacity, rate }");
    }

    /// <summary>Names of limits, by <c>limit</c>; null when it was not written.</summary>
    private static ValueList<string>? LimitNames(Section at, IReadOnlyDictionary<string, LimitConfig> limits)
    {
        if (at["limit"] is not { } field) return null;
        if (Off(field)) return [];
        if (field.Node is EmptyNode)
            field.Error("'limit' has no value", "write the name of a limit, a list of names, or off");
        return [.. field.Items().Select(item => item.Parse<string>(Reference("limit", [.. limits.Keys])))
            .OfType<string>().Distinct()];
    }

    private static void CheckLimits(Field at, RouteConfig route, UpstreamConfig? upstream, ValueList<string> every,
        IReadOnlyDictionary<string, LimitConfig> limits)
    {
        var names = (route.Limits ?? [DefaultName]).Concat(upstream?.Limits ?? []).Concat(every)
            .Where(limits.ContainsKey).Distinct().ToList();
        if (names.Count > LimitConfig.MaxPerRequest)
            at.Error($"{names.Count} limits on one route, its upstream's and those of every request included; "
                + $"{LimitConfig.MaxPerRequest} are allowed");
        foreach (var name in names.Where(n => limits[n].Capacity > 0 && limits[n].Capacity < route.Cost))
            at.Error($"cost {route.Cost} is more than the capacity {limits[name].Capacity} of limit '{name}': "
                + "no request would ever be admitted", "raise the capacity or lower the cost");
    }

    private static ClientsConfig Clients(Section clients)
    {
        var identify = Identify(clients);
        var trusted = clients.Items("trusted_proxies");
        var items = clients.Items("exempt").Select(item => (At: item, Exempt: item.Parse<Exempt>(TryExempt))).ToList();
        var exempt = items.Select(static item => item.Exempt).OfType<Exempt>().ToList();
        var sources = identify.Count > 0 ? identify : ClientsDefault.Identify;
        foreach (var (at, id) in items.Where(static item => item.Exempt is { Network: null }))
            if (!ClientId.CanBeCarried(new() { Identify = sources }))
                at.Warning($"no request can carry {Quote(id!.Id)}: 'identify' names no header or query parameter");
        return new()
        {
            Identify = sources,
            Unknown = clients.Value("unknown", OneOf(("address", UnknownClients.Address), ("own", UnknownClients.Own),
                ("reject", UnknownClients.Reject)), UnknownClients.Address),
            TrustedProxies = [.. trusted.Where(static item => !item.Is("unix"))
                .Select(static item => item.Parse<IPNetwork>(TryNetwork))],
            TrustUnixSockets = trusted.Any(static item => item.Is("unix")),
            Ipv6Prefix = clients.Value("ipv6_prefix", Whole(1, 128), ClientsDefault.Ipv6Prefix),
            ExemptNetworks = [.. exempt.Where(e => e.Network is not null).Select(e => e.Network!.Value)],
            ExemptIds = [.. exempt.Where(e => e.Network is null).Select(e => e.Id)],
            ExemptPreflights = clients.Value("preflight", OneOf(("counted", false), ("free", true)), false),
            MaxTracked = clients.Value("max_tracked", Whole(1, 100_000_000), ClientsDefault.MaxTracked),
            SaveUnregistered = clients.Value("save_unregistered", TrySwitch, ClientsDefault.SaveUnregistered),
        };
    }

    private sealed record Exempt(string Id, IPNetwork? Network);

    /// <summary>An address or network, or else a client id.</summary>
    private static bool TryExempt(string text, out Exempt exempt, out string error)
    {
        error = "";
        IPNetwork? network = TryNetwork(text, out var parsed, out _) ? parsed : null;
        exempt = new(text, network);
        if (network is not null) return true;
        var slash = text.IndexOf('/');
        if (slash > 0 && AddressText.TryParse(text.AsSpan(0, slash), out _))
            return TryNetwork(text, out _, out error); // meant as a network
        if (ClientId.Fault(text) is not { } fault) return true;
        error = $"{Quote(text)} {fault}; write an address, a network or a client id";
        return false;
    }

    private static List<IdentitySource> Identify(Section clients)
    {
        var items = clients.Items("identify");
        if (clients["identify"] is { } field && items.Count == 0 && field.Node is SequenceNode or EmptyNode)
            field.Error("'identify' is empty", "write [address], or leave it out");
        var sources = items.Select(item => item.Parse<IdentitySource>(TryIdentity)).ToList();
        var address = sources.FindIndex(source => source?.Kind == IdentityKind.Address);
        if (address >= 0 && address < items.Count - 1)
            items[address + 1].Warning("every request has an address: what follows 'address' is never looked at");
        return [.. sources.OfType<IdentitySource>()];
    }
}
