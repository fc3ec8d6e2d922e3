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
    public TlsConfig Tls { get; init; } = new();

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

    /// <summary>The mode of a Unix domain socket's file; null: by the umask.</summary>
    public UnixFileMode? Mode { get; init; }

    /// <summary>Empty: there is no plain token.</summary>
    public string Token { get; init; } = "";

    /// <summary>Tokens that are known by their hash.</summary>
    public ValueList<AdminTokenConfig> Tokens { get; init; } = [];

    /// <summary>True if other machines can reach the listener, so that it needs a token.</summary>
    public bool IsOpen => Listen is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address);

    public bool HasToken => Token.Length > 0 || Tokens.Count > 0;
}

/// <summary>What the owner of a token may do.</summary>
internal enum AdminRole
{
    /// <summary>Read everything.</summary>
    Read,

    /// <summary>Read and change everything.</summary>
    Admin,
}

/// <param name="Name">Who uses the token.</param>
/// <param name="Sha256">64 hexadecimal digits in lower case.</param>
internal sealed record AdminTokenConfig(string Name, AdminRole Role, string Sha256);
