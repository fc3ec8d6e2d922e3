using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>A peer whose X-Forwarded-* fields are trusted: a network, or every client of a Unix socket.</summary>
internal readonly record struct TrustedPeer(IPNetwork Network, bool IsUnix);

/// <summary>The keys that decide which client a request counts for.</summary>
internal static class ClientKeys
{
    private static readonly Syntax<Exempt> ExemptSyntax = new(TryExempt)
    {
        Schema = SchemaPart.String,
        Text = "address, network or client id",
        Samples = ["192.0.2.0/28", "monitoring"],
    };

    public static readonly Keys<ClientsConfig> Table = new Keys<ClientsConfig>("clients", new())
        .Key("identify", new ListShape<IdentitySource>(Identity)
        {
            Empty = ("'identify' is empty", "write [address], or leave it out"),
            Check = WarnBehindAddress,
        }, clients => clients.Identify, (clients, v) => v.Count == 0 ? clients : clients with { Identify = v },
            "Where Penstock looks for the client's identifier. The first source that names a known client counts; "
                + "sources after `address` are never used ([limits.md](limits.md#which-bucket)).")
        .Key("unknown", OneOf(("address", UnknownClients.Address), ("own", UnknownClients.Own),
            ("reject", UnknownClients.Reject)), clients => clients.Unknown,
            (clients, v) => clients with { Unknown = v },
            "What happens to a request whose client is neither registered nor exempt. `address`: it counts for the "
                + "caller's address, so that nobody gets a new bucket by inventing a name. `own`: each identifier has "
                + "its own bucket. `reject`: it is answered 401, with or without an identifier.")
        .Key("trusted_proxies", new ListShape<TrustedPeer>(Trusted),
            clients => [.. clients.TrustedProxies.Select(static network => new TrustedPeer(network, false))],
            (clients, v) => clients with
            {
                TrustedProxies = [.. v.Where(static peer => !peer.IsUnix).Select(static peer => peer.Network)],
                TrustUnixSockets = v.Any(static peer => peer.IsUnix),
            },
            "Peers whose X-Forwarded-* fields Penstock trusts; `unix`: every client of a [Unix "
                + "socket](#unix-sockets).",
            "TrustedProxies TrustUnixSockets")
        .Key("ipv6_prefix", Whole(1, 128), clients => clients.Ipv6Prefix,
            (clients, v) => clients with { Ipv6Prefix = v },
            "IPv6 addresses that share this many leading bits are one client.")
        .Key("exempt", new ListShape<Exempt>(ExemptSyntax), static _ => [],
            (clients, v) => clients with
            {
                ExemptNetworks = [.. v.Where(static e => e.Network is not null).Select(static e => e.Network!.Value)],
                ExemptIds = [.. v.Where(static e => e.Network is null).Select(static e => e.Id)],
            },
            "Clients to which no limit applies; such an id counts as known. A value that is not a usual address "
                + "(`1001`, `1.2`) is an id.", "ExemptNetworks ExemptIds")
        .Then(WarnOfIdsOfNobody)
        .Key("preflight", OneOf(("counted", false), ("free", true)), clients => clients.ExemptPreflights,
            (clients, v) => clients with { ExemptPreflights = v },
            "How CORS preflights count (OPTIONS with Origin and Access-Control-Request-Method); browsers send them "
                + "without the client's key. `counted`: like every request. `free`: no limit applies; an attacker can "
                + "send them too, so backends should answer them cheaply.")
        .Key("max_tracked", Whole(1, 100_000_000), clients => clients.MaxTracked,
            (clients, v) => clients with { MaxTracked = v },
            "How many buckets Penstock keeps for unregistered clients.")
        .AtStart()
        .Key("save_unregistered", Switch, clients => clients.SaveUnregistered,
            (clients, v) => clients with { SaveUnregistered = v },
            "These buckets survive a restart; only with `store: sqlite:PATH` "
                + "([how, and what it costs](store.md#clients-that-are-not-registered)).")
        .AtStart()
        .Finally(RemedyForClients);

    private sealed record Exempt(string Id, IPNetwork? Network);

    /// <summary>An address or network, or else a client id.</summary>
    private static bool TryExempt(string text, out Exempt exempt, out string error)
    {
        error = "";
        IPNetwork? network = TryNetwork(text, out IPNetwork parsed, out _) ? parsed : null;
        exempt = new(text, network);
        if (network is not null)
        {
            return true;
        }
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && AddressText.TryParse(text.AsSpan(0, slash), out _))
        {
            return TryNetwork(text, out _, out error); // the operator meant a network: report its fault
        }
        if (ClientId.Fault(text) is not { } fault)
        {
            return true;
        }
        error = $"{Quote(text)} {fault}; write an address, a network or a client id";
        return false;
    }

    private static void WarnBehindAddress(IReadOnlyList<(ConfigField At, IdentitySource? Value)> sources)
    {
        int address = sources.ToList().FindIndex(static source => source.Value?.Kind == IdentityKind.Address);
        if (address >= 0 && address < sources.Count - 1)
        {
            sources[address + 1].At.Warning(
                "every request has an address, so sources after 'address' are never used",
                "move 'address' to the end, or remove what follows it");
        }
    }

    /// <summary>Clients themselves are in the store, so that they change while traffic flows.</summary>
    private static void RemedyForClients(Section section, ClientsConfig _)
    {
        if (section.At.Node is MappingNode mapping)
        {
            foreach (ConfigEntry client in mapping.Entries.Where(static entry => entry.Value is MappingNode))
            {
                section.Remedy("clients are registered in the store, not in the file: penstock clients set ID "
                    + "--capacity 100 --rate 10/s", [client.Key]);
            }
        }
    }

    private static void WarnOfIdsOfNobody(Section section, ClientsConfig clients)
    {
        if (clients.ExemptIds.Count == 0 || ClientId.CanBeCarried(new() { Identify = clients.Identify }))
        {
            return;
        }
        foreach (ConfigField item in section["exempt"]!.Items())
        {
            if (item.Node is ScalarNode written && clients.ExemptIds.Contains(written.Text.Trim()))
            {
                item.Warning($"no request can carry {Quote(written.Text.Trim())}: "
                    + "'identify' names no header or query parameter");
            }
        }
    }
}
