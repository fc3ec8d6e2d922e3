using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <content>Where the access log goes.</content>
internal static partial class ConfigValue
{
    private const string SyslogPrefix = "syslog:";
    private const string UdpPrefix = "udp://";
    private const string SyslogPort = ":514";

    /// <summary>See <see cref="TryAccessLog"/>.</summary>
    public static readonly Syntax<AccessLogTarget> AccessLog = new(TryAccessLog,
        static target => SchemaPart.Quote(target.Text))
    {
        Schema = SchemaPart.AnyOf("""{ "enum": ["stdout", "off", false] }""",
            """{ "type": "string", "pattern": "/" }""", SchemaPart.Variable),
        Text = "`stdout`, `off`, the path of a file, which has a `/`, `syslog:unix:/dev/log` or "
            + "`syslog:udp://HOST:514`",
        Samples = ["off", "./access.log"],
    };

    /// <summary>The short form of <c>access_log</c>: only its target.</summary>
    public static readonly Syntax<AccessLogConfig> AccessLogShort = new(
        static (string text, out AccessLogConfig log, out string error) =>
        {
            bool valid = TryAccessLog(text, out AccessLogTarget target, out error);
            log = new() { To = target };
            return valid;
        },
        static log => AccessLog.Print(log.To))
    {
        Schema = AccessLog.Schema,
        Text = AccessLog.Text,
        Samples = AccessLog.Samples,
    };

    /// <summary>The words with a slash are only for hints.</summary>
    private static readonly Parser<AccessLogTarget> AccessLogWord = OneOf(
        ("stdout", AccessLogTarget.Stdout), ("off", AccessLogTarget.Off), ("/path", AccessLogTarget.Off),
        ("syslog:udp://host:514", AccessLogTarget.Off)).Parse;

    /// <summary><c>stdout</c>, <c>off</c>, a path, <c>syslog:unix:/dev/log</c> or <c>syslog:udp://host:514</c>. A path
    /// must contain a slash, and no colon before it, so that a misspelt word does not create a file.</summary>
    public static bool TryAccessLog(string text, out AccessLogTarget target, out string error)
    {
        if (text.StartsWith(SyslogPrefix, StringComparison.Ordinal))
        {
            return TrySyslog(text, out target, out error);
        }

        target = AccessLogTarget.File(text);
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash >= 0 && !text.EndsWith('/') && !text[..slash].Contains(':', StringComparison.Ordinal)
            ? Succeed(out error)
            : slash < 0 && text.Contains('.', StringComparison.Ordinal)
                ? Fail($"unknown value {Quote(text)}; write ./{text} for a file of the working directory", out error)
            : AccessLogWord(text.Equals("false", StringComparison.OrdinalIgnoreCase) ? "off" : text,
                out target, out error);
    }

    private static bool TrySyslog(string text, out AccessLogTarget target, out string error)
    {
        const string Form = "syslog:unix:/dev/log or syslog:udp://host:514";
        string address = text[SyslogPrefix.Length..];
        target = AccessLogTarget.Off;
        if (address.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            bool valid = TrySocketPath(address, out string path, out error);
            target = new(AccessLogKind.SyslogSocket, text, path);
            return valid;
        }
        if (!address.StartsWith(UdpPrefix, StringComparison.Ordinal))
        {
            return Fail($"{Quote(text)} is not a syslog target; write {Form}", out error);
        }

        address = address[UdpPrefix.Length..];
        address += address.LastIndexOf(':') > address.LastIndexOf(']') ? "" : SyslogPort;
        if (!TryServer(text, address, Form, out string host, out int port, out error))
        {
            return false;
        }

        target = new(AccessLogKind.SyslogUdp, text, host, port);
        return true;
    }
}
