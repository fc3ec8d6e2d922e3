namespace Penstock.Proxy.Configuration;

/// <summary>What the access log writes to.</summary>
public enum AccessLogKind
{
    /// <summary>No access log.</summary>
    Off,

    /// <summary>Standard output.</summary>
    Stdout,

    /// <summary>A file or a named pipe.</summary>
    File,

    /// <summary>The datagram socket of a syslog daemon on this machine.</summary>
    SyslogSocket,

    /// <summary>A syslog server that receives UDP.</summary>
    SyslogUdp,
}

/// <summary>Lines for a person instead of JSON.</summary>
public enum TerminalLines
{
    /// <summary>Standard output is no terminal.</summary>
    None,

    /// <summary>Without colours.</summary>
    Plain,

    /// <summary>With colours.</summary>
    Coloured,
}

/// <summary>The target of the access log.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">As it is in the configuration file, for messages.</param>
/// <param name="Address">The path of the file or the socket, or the host of the server; otherwise empty.</param>
/// <param name="Port">The port of the server; otherwise 0.</param>
public sealed record AccessLogTarget(AccessLogKind Kind, string Text, string Address = "", int Port = 0)
{
    /// <summary>No access log.</summary>
    public static AccessLogTarget Off { get; } = new(AccessLogKind.Off, "off");

    /// <summary>Standard output.</summary>
    public static AccessLogTarget Stdout { get; } = new(AccessLogKind.Stdout, "stdout");

    /// <summary>A file or a named pipe.</summary>
    public static AccessLogTarget File(string path) => new(AccessLogKind.File, path, path);
}

/// <summary>Which requests get a line in the access log, in which format, and where. A reload changes all of
/// it.</summary>
public sealed record AccessLogConfig
{
    /// <summary>Where the lines go.</summary>
    /// <value>Key <c>access_log.to</c>: <c>stdout</c>, <c>off</c>, the path of a file, which has a <c>/</c>,
    /// <c>syslog:unix:/dev/log</c> or <c>syslog:udp://HOST:514</c>; default: stdout.</value>
    public AccessLogTarget To { get; init; } = AccessLogTarget.Stdout;

    /// <summary><c>json</c>, <c>combined</c>, or a template; see <see cref="AccessLogRules"/>. Null: JSON, or lines for
    /// a person by <see cref="Terminal"/>.</summary>
    /// <value>Key <c>access_log.format</c>: <c>json</c>, <c>combined</c>, or a template; default: <c>json</c>; lines
    /// for a person if stdout is a terminal.</value>
    public string? Format { get; init; }

    /// <summary>Requests with one of these statuses get a line. Empty, and no <see cref="MinDuration"/>: all
    /// requests.</summary>
    /// <value>Key <c>access_log_only.status</c>: <c>204</c>, <c>200-299</c> or <c>2xx</c>, from 100 to 599, or a list;
    /// default: any.</value>
    public ValueList<StatusRange> Statuses { get; init; } = [];

    /// <summary>Requests that took at least this long get a line, whatever their status. Zero: the duration does not
    /// matter.</summary>
    /// <value>Key <c>access_log_only.min_duration</c>: <c>off</c>, or duration; default: off.</value>
    public TimeSpan MinDuration { get; init; }

    /// <summary>Of requests with these statuses only some get a line. The narrowest entry that has the status
    /// counts.</summary>
    /// <value>Key <c>access_log.sample</c>: <c>STATUS: 1/N</c>; default: none.</value>
    public ValueList<SampleConfig> Samples { get; init; } = [];

    /// <summary>Lines show the queries of requests and referrers, without credentials.</summary>
    /// <value>Key <c>access_log.query</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool ShowsQuery { get; init; }

    /// <summary>Standard output is a terminal: lines without a configured format are for a person. Not a key: the
    /// program sets it.</summary>
    public TerminalLines Terminal { get; init; }
}

/// <summary>One of a number of requests gets a line.</summary>
/// <param name="Statuses">Requests with these statuses.</param>
/// <param name="OneOf">How many of them one line stands for; at least 2.</param>
public sealed record SampleConfig(StatusRange Statuses, int OneOf);
