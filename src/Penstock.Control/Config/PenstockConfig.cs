using System.Net;
using Penstock.Control.Telemetry;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>The whole configuration, of the data plane and of the control plane.</summary>
internal sealed record PenstockConfig
{
    public required ProxyConfig Proxy { get; init; }
    public AdminConfig Admin { get; init; } = new();
    public LogConfig Log { get; init; } = new();

    /// <summary><c>sqlite:PATH</c>, <c>postgres://user:password@host:5432/database</c> or <c>memory</c>. It may contain
    /// a password: show only <c>ClientStores.NameOf</c> of it.</summary>
    public string Store { get; init; } = "sqlite:penstock.db";

    /// <summary>The plans by name. The store keeps plans; those of the file are written to it at start and at each
    /// reload.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Plans { get; init; } = new Dictionary<string, LimitConfig>();

    /// <summary>Default: true.</summary>
    public bool Watch { get; init; } = true;

    /// <summary>The file or directory; null if the configuration was made from the command line.</summary>
    public string? File { get; init; }

    /// <summary>All values, as they were written or by default.</summary>
    public IReadOnlyList<Setting> Settings { get; init; } = [];

    /// <summary>See <see cref="Report.Files"/>.</summary>
    public IReadOnlyList<FileVersion> Files { get; init; } = [];
}

internal sealed record LogConfig
{
    /// <summary>Null: it depends on whether stderr is a terminal.</summary>
    public MinLevel? Level { get; init; }
}

internal sealed record AdminConfig
{
    /// <summary>Null: no admin listener.</summary>
    public EndPoint? Listen { get; init; } = new IPEndPoint(IPAddress.Loopback, 9800);

    /// <summary>Empty: no token is needed; allowed only on a loopback address or a Unix socket.</summary>
    public string Token { get; init; } = "";
}
