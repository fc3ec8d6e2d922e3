using System.Globalization;
using Npgsql;

namespace Penstock.Control.Store;

/// <summary>Where the database is: <c>postgres://user:password@host:5432/database?sslmode=require</c>, read leniently,
/// so that a password from a variable may hold any character. <c>host=/folder</c> in the query means a Unix
/// socket.</summary>
internal sealed class PostgresUrl
{
    private const int TimeoutSeconds = 2;

    private static readonly string[] Schemes = ["postgres://", "postgresql://"];

    private PostgresUrl(string name) => Name = name;

    /// <summary>Without user and password.</summary>
    public string Name { get; }

    public required string ConnectionString { get; init; }

    public static bool TryParse(string text, out PostgresUrl url)
    {
        url = null!;
        if (Schemes.FirstOrDefault(s => text.StartsWith(s, StringComparison.OrdinalIgnoreCase)) is not { } scheme)
            return false;
        var rest = text[scheme.Length..];
        var at = rest.LastIndexOf('@');
        var credentials = rest[..Math.Max(at, 0)].Split(':', 2);
        var place = rest[(at + 1)..].Split('?', 2);
        var address = place[0].Split('/', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Username = Uri.UnescapeDataString(credentials[0]) is { Length: > 0 } user ? user : Environment.UserName,
            Password = credentials.Length > 1 ? Uri.UnescapeDataString(credentials[1]) : null,
            Database = address.Length > 1 ? Uri.UnescapeDataString(address[1]) : "",
            ApplicationName = "penstock",
            Pooling = false, // a node has three connections, and each belongs to one thread
            Timeout = TimeoutSeconds,
            CommandTimeout = TimeoutSeconds,
            CancellationTimeout = -1, // a server that is gone would not answer that either
            KeepAlive = 5,
            IncludeErrorDetail = false,
        };
        if (!TrySetHost(builder, address[0]) || !TrySetQuery(builder, place.Length > 1 ? place[1] : ""))
            return false;
        if (string.IsNullOrEmpty(builder.Host) || string.IsNullOrEmpty(builder.Database))
            return false;
        url = new($"postgres://{(builder.Host.StartsWith('/') ? "" : $"{builder.Host}:{builder.Port}")}/"
            + builder.Database + (builder.Host.StartsWith('/') ? $"?host={builder.Host}" : ""))
        {
            ConnectionString = builder.ToString(),
        };
        return true;
    }

    private static bool TrySetHost(NpgsqlConnectionStringBuilder builder, string address)
    {
        var colon = address.LastIndexOf(':');
        if (colon > address.LastIndexOf(']'))
        {
            if (!ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture,
                out var port) || port == 0)
            {
                return false;
            }
            builder.Port = port;
            address = address[..colon];
        }
        builder.Host = address.Trim('[', ']');
        return true;
    }

    private static bool TrySetQuery(NpgsqlConnectionStringBuilder builder, string query)
    {
        foreach (var pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            var value = Uri.UnescapeDataString(parts.ElementAtOrDefault(1) ?? "");
            switch (parts[0])
            {
                case "host":
                    builder.Host = value;
                    break;
                case "port" when ushort.TryParse(value, CultureInfo.InvariantCulture, out var port):
                    builder.Port = port;
                    break;
                case "sslmode" when ModeOf(value) is { } mode:
                    builder.SslMode = mode;
                    break;
                case "sslrootcert":
                    builder.RootCertificate = value;
                    break;
                default:
                    return false;
            }
        }
        return true;
    }

    private static SslMode? ModeOf(string text) => text.ToLowerInvariant() switch
    {
        "disable" => SslMode.Disable,
        "allow" => SslMode.Allow,
        "prefer" => SslMode.Prefer,
        "require" => SslMode.Require,
        "verify-ca" => SslMode.VerifyCA,
        "verify-full" => SslMode.VerifyFull,
        _ => null,
    };
}
