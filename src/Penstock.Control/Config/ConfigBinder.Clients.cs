using System.Net;
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
        var (capacity, rate) = (limit.Required<long>("capacity", TryWhole), limit.Required<double>("rate", TryRate));
        if (limit.Sound && Limiter.Fault(capacity, rate) is { } fault)
            limit[Limiter.Fault(capacity, 1) is null ? "rate" : "capacity"]!.Refuse(fault);
        return new(capacity, rate);
    }

    private static ClientsConfig Clients(Section clients)
    {
        var identify = Identify(clients);
        return new()
        {
            Identify = identify.Count > 0 ? identify : ClientsDefault.Identify,
            UnknownGetsOwnBucket = clients.Value("unknown", OneOf(("address", false), ("own", true)), false),
            TrustedProxies = [.. clients.Items("trusted_proxies").Select(item => item.Parse<IPNetwork>(TryNetwork))],
            Ipv6Prefix = clients.Value("ipv6_prefix", Whole(1, 128), ClientsDefault.Ipv6Prefix),
            MaxTracked = clients.Value("max_tracked", Whole(1, 100_000_000), ClientsDefault.MaxTracked),
        };
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
