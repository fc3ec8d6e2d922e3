using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using Penstock.Control.Config;

namespace Penstock.Control.Store;

/// <summary>The address of the database: <c>postgres://user:password@host:5432/database?sslmode=require</c>, with the
/// libpq parameters that Penstock supports. It is parsed leniently, so that a password from a variable may contain any
/// character. Messages about it quote only the name of a parameter.</summary>
internal sealed partial class PostgresUrl
{
    private const int DefaultConnectTimeoutSeconds = 2;
    private const int MaxConnectTimeoutSeconds = 60;
    private const ushort DefaultPort = 5432;

    private static readonly string[] Schemes = ["postgres://", "postgresql://"];
    private static readonly string[] Parameters =
    [
        "application_name", "channel_binding", "connect_timeout", "dbname", "host", "options", "passfile", "password",
        "port", "sslcert", "sslkey", "sslmode", "sslpassword", "sslrootcert", "target_session_attrs", "user",
    ];

    private readonly NpgsqlConnectionStringBuilder _settings = new()
    {
        ApplicationName = "penstock",
        Pooling = false, // a node has three connections, each for one thread
        Timeout = DefaultConnectTimeoutSeconds,
        CommandTimeout = PostgresStore.StatementTimeoutMs / 1000,
        CancellationTimeout = -1, // a server that does not answer would not answer the cancellation either
        KeepAlive = 5,
        IncludeErrorDetail = false,
    };

    private PostgresUrl()
    {
    }

    /// <summary>The address without user and password.</summary>
    public string Name { get; private set; } = "";

    /// <summary>The hosts to try, in this order.</summary>
    public IReadOnlyList<PostgresHost> Hosts { get; private set; } = [];

    /// <summary>How the server's certificate is checked.</summary>
    public PostgresTls Tls { get; private set; } = PostgresTls.Unchecked;

    /// <summary>A read-only server is not used.</summary>
    public bool MustBeWritable { get; private set; } = true;

    /// <summary>The connection string of the first host, for tools and tests.</summary>
    public string ConnectionString => Hosts[0].ConnectionString;

    public static bool IsOne(string text) => Schemes.Any(s => text.StartsWith(s, StringComparison.OrdinalIgnoreCase));

    public static bool TryParse(string text, out PostgresUrl url) => TryParse(text, out url, out _);

    /// <param name="text">The value of <c>store</c>.</param>
    /// <param name="url">The parsed address.</param>
    /// <param name="fault">The fault of a text that <see cref="IsOne"/> accepts, without secrets.</param>
    public static bool TryParse(string text, out PostgresUrl url, out string fault)
    {
        url = new();
        fault = "";
        if (Schemes.FirstOrDefault(s => text.StartsWith(s, StringComparison.OrdinalIgnoreCase)) is not { } scheme)
        {
            return false;
        }

        fault = url.Read(text[scheme.Length..]) ?? "";
        return fault.Length == 0;
    }

    private string? Read(string rest)
    {
        // The host begins after the last '@' that is followed by a host and a '/', because the password and the
        // parameters may contain '@', '/' and '?'.
        int at = HostPart().Matches(rest).LastOrDefault()?.Index ?? -1;
        string[] credentials = rest[..Math.Max(at, 0)].Split(':', 2);
        string[] place = rest[(at + 1)..].Split('?', 2);
        string[] address = place[0].Split('/', 2);
        _settings.Username = Unescape(credentials[0]) is { Length: > 0 } user ? user : Environment.UserName;
        _settings.Password = credentials.Length > 1 ? Unescape(credentials[1]) : null;
        _settings.Database = address.Length > 1 ? Unescape(address[1]) : "";
        (string[] hosts, string[] ports) = SplitHosts(address[0]);
        var given = new Dictionary<string, string>();
        foreach (string pair in (place.Length > 1 ? place[1] : "").Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            (string key, string value) =
                pair.Split('=', 2) is [var k, var v] ? (Unescape(k), Unescape(v)) : (Unescape(pair), "");
            if (!Parameters.Contains(key))
            {
                return (ParameterName().IsMatch(key)
                        ? $"the PostgreSQL address has an unknown parameter '{key}'"
                        : "the PostgreSQL address has an invalid parameter name")
                    + $"; {Suggestion.OrList(key, Parameters, "Penstock knows")}";
            }
            given[key] = value;
            if (key == "host")
            {
                hosts = value.Split(',');
            }

            if (key == "port")
            {
                ports = value.Split(',');
            }

            if (Set(key, value) is { } fault)
            {
                return $"{key} in the PostgreSQL address: {fault}";
            }
        }
        return SetTls(given) ?? SetHosts(hosts, ports);
    }

    private string? Set(string key, string value)
    {
        switch (key)
        {
            case "user": _settings.Username = value; break;
            case "password": _settings.Password = value; break;
            case "passfile": _settings.Passfile = value; break;
            case "dbname": _settings.Database = value; break;
            case "options": _settings.Options = value; break;
            case "application_name": _settings.ApplicationName = value; break;
            case "sslcert": _settings.SslCertificate = value; break;
            case "sslkey": _settings.SslKey = value; break;
            case "sslpassword": _settings.SslPassword = value; break;
            case "connect_timeout":
                if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int seconds)
                    || seconds is < 1 or > MaxConnectTimeoutSeconds)
                {
                    return $"it must be a number of seconds from 1 to {MaxConnectTimeoutSeconds}";
                }

                _settings.Timeout = seconds;
                break;
            case "channel_binding":
                if (BindingOf(value) is not { } binding)
                {
                    return "write disable, prefer or require";
                }

                _settings.ChannelBinding = binding;
                break;
            case "target_session_attrs":
                if (value is not ("any" or "read-write" or "primary"))
                {
                    return "write read-write, primary or any: Penstock writes into the database";
                }

                MustBeWritable = value != "any";
                break;
        }
        return null;
    }

    /// <summary>As in libpq, <c>require</c> with a root certificate means <c>verify-ca</c>. A root certificate without
    /// a mode also means <c>verify-ca</c>, because it would be useless otherwise.</summary>
    private string? SetTls(Dictionary<string, string> given)
    {
        string root = given.GetValueOrDefault("sslrootcert", "");
        string text = given.GetValueOrDefault("sslmode",
            root switch { "" => "prefer", "system" => "verify-full", _ => "require" });
        if (ModeOf(text) is not { } mode)
        {
            return "sslmode in the PostgreSQL address: write disable, allow, prefer, require, verify-ca or verify-full";
        }

        if (root == "system" && mode != SslMode.VerifyFull)
        {
            return "sslrootcert=system in the PostgreSQL address needs a check of the host name, because anybody can "
                + "get such a certificate; write sslmode=verify-full";
        }

        if (mode == SslMode.Require && root.Length > 0)
        {
            mode = SslMode.VerifyCA;
        }

        if (mode is SslMode.VerifyCA or SslMode.VerifyFull)
        {
            Tls = new(root is "" or "system" ? null : root, checksName: mode == SslMode.VerifyFull);
            mode = SslMode.Require; // PostgresTls checks, because Npgsql does not say why a check failed
        }
        _settings.SslMode = mode;
        return null;
    }

    private string? SetHosts(string[] hosts, string[] ports)
    {
        if (hosts.Any(static host => host.Length == 0))
        {
            return "the PostgreSQL address names no host";
        }

        if (string.IsNullOrEmpty(_settings.Database))
        {
            return "the PostgreSQL address names no database";
        }

        if (ports.Length > 1 && ports.Length != hosts.Length)
        {
            return "the PostgreSQL address must have one port or as many ports as hosts";
        }

        var all = new List<PostgresHost>();
        for (int i = 0; i < hosts.Length; i++)
        {
            string text = ports.Length == 1 ? ports[0] : ports.ElementAtOrDefault(i) ?? "";
            ushort port = DefaultPort;
            if (text.Length > 0 && (!ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port)
                || port == 0))
            {
                return "the port in the PostgreSQL address is not a number from 1 to 65535";
            }

            (_settings.Host, _settings.Port) = (hosts[i], port);
            all.Add(new(NameOf(hosts[i], port), _settings.ToString()));
        }
        Hosts = all;
        Name = hosts[0].StartsWith('/')
            ? $"postgres:///{_settings.Database}?host={string.Join(',', hosts)}"
            : $"postgres://{string.Join(',', all.Select(static host => host.Name))}/{_settings.Database}";
        return null;
    }

    private static (string[] Hosts, string[] Ports) SplitHosts(string addresses)
    {
        string[] all = addresses.Split(',');
        string[] hosts = new string[all.Length];
        string[] ports = new string[all.Length];
        for (int i = 0; i < all.Length; i++)
        {
            int colon = all[i].LastIndexOf(':') is var c && c > all[i].LastIndexOf(']') ? c : all[i].Length;
            hosts[i] = Unescape(all[i][..colon]).Trim('[', ']');
            ports[i] = all[i][Math.Min(colon + 1, all[i].Length)..];
        }
        return (hosts, ports);
    }

    private static string NameOf(string host, ushort port) =>
        host.StartsWith('/') ? host : host.Contains(':') ? $"[{host}]:{port}" : $"{host}:{port}";

    private static SslMode? ModeOf(string word) => word.ToLowerInvariant() switch
    {
        "disable" => SslMode.Disable,
        "allow" => SslMode.Allow,
        "prefer" => SslMode.Prefer,
        "require" => SslMode.Require,
        "verify-ca" => SslMode.VerifyCA,
        "verify-full" => SslMode.VerifyFull,
        _ => null,
    };

    private static ChannelBinding? BindingOf(string word) => word.ToLowerInvariant() switch
    {
        "disable" => ChannelBinding.Disable,
        "prefer" => ChannelBinding.Prefer,
        "require" => ChannelBinding.Require,
        _ => null,
    };

    private static string Unescape(string text) => Uri.UnescapeDataString(text);

    [GeneratedRegex(@"@(?=[A-Za-z0-9._:,%\[\]-]*/)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex HostPart();

    [GeneratedRegex("^[A-Za-z_]{1,40}$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ParameterName();
}

/// <summary>One server of a list.</summary>
internal sealed record PostgresHost(string Name, string ConnectionString)
{
    private readonly Lazy<NpgsqlDataSource> _source = new(() => new NpgsqlSlimDataSourceBuilder(ConnectionString)
        .EnableArrays().EnableTransportSecurity()
        .ConfigureTypeLoading(static types => types.EnableTypeLoading(false)) // plain types only: spares a query
        .Build());

    public NpgsqlConnection NewConnection() => _source.Value.CreateConnection();
}
