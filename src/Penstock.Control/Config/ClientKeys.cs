using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>A network whose X-Forwarded-* fields are believed, or whoever connects to a Unix socket.</summary>
internal readonly record struct TrustedPeer(IPNetwork Network, bool IsUnix);

/// <summary>Keys that say who a request is counted for.</summary>
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
            "Where an identifier may stand. The first that names a known client counts; behind `address` nothing is "
                + "looked at ([limits.md](limits.md#which-bucket)).")
        .Key("unknown", OneOf(("address", UnknownClients.Address), ("own", UnknownClients.Own),
            ("reject", UnknownClients.Reject)), clients => clients.Unknown,
            (clients, v) => clients with { Unknown = v },
            "What becomes of a request of nobody that is registered or exempt: it counts as the caller's `address`, so "
                + "that nobody gets a fresh bucket by inventing a name; `own` gives each identifier a bucket of its "
                + "own; `reject` answers 401, with an identifier or without.")
        .Key("trusted_proxies", new ListShape<TrustedPeer>(Trusted),
            clients => [.. clients.TrustedProxies.Select(static network => new TrustedPeer(network, false))],
            (clients, v) => clients with
            {
                TrustedProxies = [.. v.Where(static peer => !peer.IsUnix).Select(static peer => peer.Network)],
                TrustUnixSockets = v.Any(static peer => peer.IsUnix),
            },
            "Whose X-Forwarded-* fields are believed; `unix` is whoever connects to a [Unix socket](#unix-sockets).",
            "TrustedProxies TrustUnixSockets")
        .Key("ipv6_prefix", Whole(1, 128), clients => clients.Ipv6Prefix,
            (clients, v) => clients with { Ipv6Prefix = v },
            "IPv6 clients are told apart by this many leading bits.")
        .Key("exempt", new ListShape<Exempt>(ExemptSyntax), static _ => [],
            (clients, v) => clients with
            {
                ExemptNetworks = [.. v.Where(static e => e.Network is not null).Select(static e => e.Network!.Value)],
                ExemptIds = [.. v.Where(static e => e.Network is null).Select(static e => e.Id)],
            },
            "Whom no limit holds; such an id counts as known. What is not an address as it is usually written (`1001`, "
                + "`1.2`) is an id.", "ExemptNetworks ExemptIds")
        .Then(WarnOfIdsOfNobody)
        .Key("preflight", OneOf(("counted", false), ("free", true)), clients => clients.ExemptPreflights,
            (clients, v) => clients with { ExemptPreflights = v },
            "CORS preflights, which browsers send of themselves and without the client's key (OPTIONS with Origin and "
                + "Access-Control-Request-Method): `counted` like any request, or `free` of all limits. Whoever floods "
                + "can send them, too: let backends answer them cheaply.")
        .Key("max_tracked", Whole(1, 100_000_000), clients => clients.MaxTracked,
            (clients, v) => clients with { MaxTracked = v },
            "So many buckets are kept for clients without a setting of their own.")
        .AtStart()
        .Key("save_unregistered", Switch, clients => clients.SaveUnregistered,
            (clients, v) => clients with { SaveUnregistered = v },
            "Those buckets are kept over a restart, in `store: sqlite:PATH` only "
                + "([how, and what it costs](store.md#clients-that-are-not-registered)).")
        .AtStart();

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
            return TryNetwork(text, out _, out error); // meant as a network
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
                "every request has an address: what follows 'address' is never looked at");
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
