using System.Net;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>The whole configuration: what the data plane needs, and the control plane around it.</summary>
internal sealed record PenstockConfig
{
    public required ProxyConfig Proxy { get; init; }
    public AdminConfig Admin { get; init; } = new();

    /// <summary><c>sqlite:PATH</c>, <c>postgres://user:password@host:5432/database</c> or <c>memory</c>. It may hold a
    /// password: show <c>ClientStores.NameOf</c> of it.</summary>
    public string Store { get; init; } = "sqlite:penstock.db";

    /// <summary>Numbers that many clients have, by the names of the plans. The store keeps them; what is written here
    /// is put there at start and at a reload.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Plans { get; init; } = new Dictionary<string, LimitConfig>();

    /// <summary>Where it came from; null when built from the command line.</summary>
    public string? File { get; init; }
}

internal sealed record AdminConfig
{
    /// <summary>Null: no admin listener.</summary>
    public EndPoint? Listen { get; init; } = new IPEndPoint(IPAddress.Loopback, 9800);

    /// <summary>Empty: no token is asked for, which is accepted only on a loopback address or a Unix socket.</summary>
    public string Token { get; init; } = "";
}
