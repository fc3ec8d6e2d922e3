using System.Globalization;
using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>The directives of nginx that are settings for all requests here. All others that get here are left out.
/// </summary>
internal sealed class NginxSettings(Conversion conversion)
{
    /// <summary>Converts a directive or lists it as left out, with what does the same.</summary>
    public void Add(NginxDirective directive)
    {
        DraftMap root = conversion.Root;
        switch (directive)
        {
            case { Name: "events", Block: { } events }:
                events.ToList().ForEach(Add);
                return;
            case { Name: "access_log" }:
                AccessLog(directive);
                return;
            case { Name: "set_real_ip_from" } when TrustedProxy(directive.Word(0)):
                return;
            default:
                break;
        }
        if (Timeout(directive) is { } timeout)
        {
            Once(directive, root.Map("timeouts"), timeout.Key, timeout.Value, timeout.Key is "connect" or "response"
                ? Conversion.OneForAll + "; a route may have its own 'timeouts'" : Conversion.OneForAll);
        }
        else if (directive.Name == "client_max_body_size")
        {
            string size = directive.Word(0) == "0" ? "off" : directive.Word(0);
            Once(directive, root.Map("bounds"), "body", size, Conversion.OneForAll);
        }
        else
        {
            Leave(directive);
        }
    }

    /// <summary>Converts a directive of a location, where some settings are those of its route.</summary>
    /// <param name="timeouts">The timeouts of the route.</param>
    public void AddTo(NginxDirective directive, DraftMap timeouts)
    {
        if (Timeout(directive) is { Key: "connect" or "response" } timeout)
        {
            Once(directive, timeouts, timeout.Key, timeout.Value,
                "the route has one value, and another line has set it");
        }
        else if (directive.Name == "access_log")
        {
            Leave(directive);
        }
        else
        {
            Add(directive);
        }
    }

    public void Leave(NginxDirective directive) =>
        conversion.Leave(directive.Line, directive.Text, NginxHints.Of(directive.Name));

    /// <summary>A time of nginx, whose unit is a second if it has none; null if it is not simple, or zero.</summary>
    public static string? DurationOf(string text)
    {
        string number = text.TrimEnd('s', 'm', 'h');
        return number.All(char.IsAsciiDigit) && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture,
            out int count) && count > 0 ? number.Length == text.Length ? $"{count}s" : text : null;
    }

    private static (string Key, string Value)? Timeout(NginxDirective directive)
    {
        string? key = directive.Name switch
        {
            "proxy_connect_timeout" => "connect",
            "proxy_read_timeout" or "proxy_send_timeout" or "send_timeout" => "response",
            "client_header_timeout" => "head",
            "keepalive_timeout" => "idle",
            _ => null,
        };
        return key is not null && DurationOf(directive.Word(0)) is { } value ? (key, value) : null;
    }

    private void Once(NginxDirective directive, DraftMap map, string key, string value, string otherwise)
    {
        if (!map.TrySet(key, value))
        {
            conversion.Leave(directive.Line, directive.Text, otherwise);
        }
    }

    private bool TrustedProxy(string address)
    {
        string usable = address == "unix:" ? "unix" : address;
        if (usable != "unix" && !ConfigValue.TryNetwork(usable, out _, out _))
        {
            return false;
        }
        List<object> trusted = conversion.Root.Map("clients").List("trusted_proxies");
        if (!trusted.Contains(usable))
        {
            trusted.Add(usable);
        }
        return true;
    }

    /// <summary><c>access_log PATH [FORMAT] [NAME=VALUE…]</c>. Without a format the lines are in the combined one.
    /// </summary>
    private void AccessLog(NginxDirective directive)
    {
        if (TargetOf(directive.Word(0)) is not { } target)
        {
            Leave(directive);
            return;
        }
        string format = directive.Words.Skip(1).FirstOrDefault(static word => !word.Contains('=')) ?? "combined";
        bool isCombined = format == "combined" && target != "off";
        object log = isCombined ? new DraftMap().Set("to", target).Set("format", format) : target;
        if (conversion.Root["access_log"] is { } before && !Same(before, log))
        {
            conversion.Leave(directive.Line, directive.Text, Conversion.OneForAll);
            return;
        }
        conversion.Root.Set("access_log", log);
        if (!isCombined && target != "off")
        {
            conversion.Leave(directive.Line, $"the format {format}", "the lines are JSON; 'access_log.format' has "
                + "other forms and templates");
        }
        foreach (string option in directive.Words.Skip(1).Where(static word => word.Contains('=')))
        {
            conversion.Leave(directive.Line, option, option.StartsWith("if=", StringComparison.Ordinal)
                ? "see 'access_log.only'" : Conversion.NothingSame);
        }
    }

    private static bool Same(object one, object other) => (one, other) switch
    {
        (DraftMap left, DraftMap right) => left.Entries.SequenceEqual(right.Entries),
        _ => one.Equals(other),
    };

    private static string? TargetOf(string target)
    {
        const string Syslog = "syslog:server=";
        if (!target.StartsWith(Syslog, StringComparison.Ordinal))
        {
            return target switch
            {
                "off" => "off",
                "/dev/stdout" => "stdout",
                _ => target.Contains('/') && !target.Contains('$') && !target.Contains(':') ? target : null,
            };
        }
        string server = target[Syslog.Length..].Split(',')[0];
        return server.StartsWith("unix:", StringComparison.Ordinal) ? $"syslog:{server}"
            : server.Length > 0 ? $"syslog:udp://{server}" : null;
    }
}
