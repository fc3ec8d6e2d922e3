using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>The backends of HAProxy, which are upstreams, with their servers and checks.</summary>
internal sealed class HaproxyBackends(Conversion conversion)
{
    private static readonly string[] Keywords =
        ["server", "default-server", "balance", "http-check", "retries", "hash-type", "cookie"];

    /// <summary>What a cookie of Penstock has without being told.</summary>
    private static readonly string[] CookieWords = ["insert", "indirect", "nocache", "httponly"];

    private readonly Dictionary<string, DraftMap> _all = [];

    public IReadOnlyCollection<string> Names => _all.Keys;

    public DraftMap? Find(string name) => _all.GetValueOrDefault(name);

    /// <summary>True if <see cref="Add"/> reads such a line.</summary>
    public static bool Handles(HaproxyLine line) =>
        Keywords.Contains(line.Word(0)) || line.Begins("option", "httpchk");

    public void Add(HaproxySection section, HaproxySection? defaults)
    {
        IEnumerable<HaproxyLine> lines = [.. (defaults?.Lines ?? []).Where(Handles), .. section.Lines.Where(Handles)];
        var upstream = new DraftMap();
        DraftMap? check = null;
        bool isChecked = false;
        List<HaproxyLine> servers = [.. lines.Where(static line => line.Begins("server"))];
        foreach (HaproxyLine line in lines.Where(static line => !line.Begins("server")))
        {
            switch (line.Word(0))
            {
                case "balance":
                    Balance(line, upstream);
                    break;
                case "option":
                    check = HttpCheck(line, check);
                    break;
                case "http-check":
                    check = HttpCheck(line, check ?? new());
                    break;
                case "default-server":
                    isChecked |= Options(line, 1, new(), upstream, check ??= new());
                    break;
                case "cookie":
                    Cookie(line, upstream);
                    break;
                case "retries":
                    upstream.Map("retries").Set("attempts", line.Word(1));
                    break;
                default:
                    conversion.Leave(line.Number, line.Text, "balance: hash is consistent by itself");
                    break;
            }
        }
        foreach (HaproxyLine server in servers)
        {
            isChecked |= Server(server, upstream, check ??= new());
        }
        if (upstream["backends"] is null)
        {
            conversion.Leave(section.Line, $"{section.Kind} {section.Name}", "it has no server");
            return;
        }
        if (isChecked)
        {
            upstream.Set("health_check", check!["path"] is null ? check.Set("type", "tcp") : check);
        }
        _all[section.Name] = upstream;
        conversion.Root.Map("upstreams").Set(Conversion.NameOf(section.Name), upstream);
    }

    /// <summary><c>cookie NAME insert …</c>: HAProxy's own cookie, which <c>sticky</c> is. Its value names the server
    /// there; here it is signed, which needs a secret.</summary>
    private void Cookie(HaproxyLine line, DraftMap upstream)
    {
        if (!line.Words.Contains("insert"))
        {
            conversion.Leave(line.Number, line.Text, "see 'sticky' of the upstream, which has a cookie of its own");
            return;
        }
        DraftMap sticky = upstream.Map("sticky").Set("secret", "${STICKY_SECRET}").Set("cookie", line.Word(1));
        conversion.Leave(line.Number, $"cookie {line.Word(1)}", "the cookie of 'sticky' is signed: set the variable "
            + "STICKY_SECRET, at least 16 characters and the same on all nodes");
        for (int i = 2; i < line.Words.Count; i++)
        {
            if (line.Words[i] == "secure")
            {
                sticky.Set("secure", "true");
            }
            else if (!CookieWords.Contains(line.Words[i]))
            {
                bool hasValue = line.Words[i] is "domain" or "maxidle" or "maxlife" or "attr";
                string what = hasValue ? $"{line.Words[i]} {line.Word(++i)}" : line.Words[i];
                conversion.Leave(line.Number, what, what.StartsWith("max", StringComparison.Ordinal)
                    ? "see 'max_age' and 'idle' of 'sticky'" : Conversion.NothingSame);
            }
        }
    }

    private void Balance(HaproxyLine line, DraftMap upstream)
    {
        string name = line.Word(1);
        (string? algorithm, string? hash) = name switch
        {
            "roundrobin" or "static-rr" => ("round_robin", null),
            "leastconn" => ("least_connections", null),
            "source" => ("hash", "address"),
            "uri" => ("hash", "path"),
            "url_param" => ("hash", $"query:{line.Word(2)}"),
            _ when name.StartsWith("hdr(", StringComparison.Ordinal) && name.EndsWith(')') =>
                ("hash", $"header:{name[4..^1]}"),
            _ when name.StartsWith("random", StringComparison.Ordinal) =>
                (name == "random(1)" ? "random" : "power_of_two", null),
            _ => ((string?)null, (string?)null),
        };
        if (algorithm is null)
        {
            conversion.Leave(line.Number, line.Text, "Penstock has no such algorithm; it uses round_robin");
            return;
        }
        upstream.Set("balance", algorithm).Set("hash", hash);
    }

    /// <summary><c>option httpchk [METHOD] [URI]</c>, <c>http-check send</c>, <c>http-check expect status</c>.
    /// </summary>
    private DraftMap HttpCheck(HaproxyLine line, DraftMap? known)
    {
        DraftMap check = known ?? new();
        if (line.Begins("option"))
        {
            bool onlyUri = line.Word(2).StartsWith('/');
            string method = onlyUri || line.Words.Count == 2 ? "OPTIONS" : line.Word(2);
            string uri = onlyUri ? line.Word(2) : line.Word(3);
            check.Set("path", uri.Length == 0 ? "/" : uri).Set("method", method == "GET" ? null : method);
        }
        else if (line.Begins("http-check", "send"))
        {
            check.Set("path", line.After("uri") is { Length: > 0 } uri ? uri : check["path"] ?? "/");
            check.Set("method", line.After("meth") is { Length: > 0 } method ? method : null);
        }
        else if (line.Begins("http-check", "expect", "status"))
        {
            check.Map("expect").Set("status", line.Word(3).Split(',').ToList<object>());
        }
        else
        {
            conversion.Leave(line.Number, line.Text, "a check expects a status and a text in the body; see "
                + "'health_check.expect'");
        }
        return check;
    }

    /// <returns>True if the server is checked.</returns>
    private bool Server(HaproxyLine line, DraftMap upstream, DraftMap check)
    {
        string address = line.Word(2);
        address = address.StartsWith("unix@", StringComparison.Ordinal) ? $"unix:{address["unix@".Length..]}"
            : address.StartsWith('/') ? $"unix:{address}"
            : (line.Words.Contains("ssl") ? "https://" : "http://") + address.TrimStart('*');
        if (!ConfigValue.TryBackend(address, out _, out string error))
        {
            conversion.Leave(line.Number, line.Text, error);
            return false;
        }
        if (line.Words.Contains("disabled"))
        {
            conversion.Leave(line.Number, line.Text, "left out: it is disabled; 'penstock maintenance' does that");
            return false;
        }
        DraftMap backend = new DraftMap().Set("url", address);
        bool isChecked = Options(line, 3, backend, upstream, check);
        upstream.List("backends").Add(backend.Entries.Count == 1 ? address : backend);
        return isChecked;
    }

    private bool Options(HaproxyLine line, int from, DraftMap backend, DraftMap upstream, DraftMap check)
    {
        bool isChecked = false;
        for (int i = from; i < line.Words.Count; i++)
        {
            switch (line.Words[i])
            {
                case "cookie" when upstream["sticky"] is not null:
                    i++; // the value of the cookie, which is Penstock's own
                    break;
                case "check":
                    isChecked = true;
                    break;
                case "ssl":
                    break;
                case "backup":
                    backend.Set("backup", "true");
                    break;
                case "weight" when line.Word(i + 1) != "0":
                    backend.Set("weight", line.Word(++i));
                    break;
                case "maxconn":
                    backend.Set("max_connections", line.Word(++i));
                    break;
                case "inter" when HaproxyConverter.DurationOf(line.Word(i + 1)) is { } interval:
                    Once(line, ++i, check, "interval", interval);
                    break;
                case "fastinter" when HaproxyConverter.DurationOf(line.Word(i + 1)) is { } interval:
                    Once(line, ++i, check, "fast_interval", interval);
                    break;
                case "rise" or "fall":
                    Once(line, i + 1, check, line.Words[i++], line.Word(i));
                    break;
                case "slowstart" when HaproxyConverter.DurationOf(line.Word(i + 1)) is { } time:
                    Once(line, ++i, upstream, "slow_start", time);
                    break;
                case "send-proxy" or "send-proxy-v2":
                    upstream.Set("send_proxy", line.Words[i] == "send-proxy" ? "v1" : "v2");
                    break;
                case "verify" when line.Word(i + 1) == "none":
                    upstream.Map("tls").Set("verify", "false");
                    i++;
                    break;
                case "verify" when line.Word(i + 1) == "required":
                    i++;
                    break;
                case "ca-file":
                    upstream.Map("tls").Set("ca", line.Word(++i));
                    break;
                default:
                    i = LeaveOption(line, i);
                    break;
            }
        }
        return isChecked;
    }

    private void Once(HaproxyLine line, int index, DraftMap map, string key, string value)
    {
        if (!map.TrySet(key, value))
        {
            conversion.Leave(line.Number, $"{line.Word(index - 1)} {line.Word(index)}",
                "it is one value for all servers of an upstream, and another server has set it");
        }
    }

    /// <returns>The index of the option's last word: words that are no option belong to the one before.</returns>
    private int LeaveOption(HaproxyLine line, int index)
    {
        bool hasValue = line.Words[index] is "cookie" or "weight" or "id" or "port" or "addr" or "resolvers"
            or "init-addr" or "sni" or "alpn" or "on-error" or "observe" or "error-limit" or "downinter" or "verify"
            or "resolve-prefer" or "minconn" or "maxqueue" or "crt" or "proto" or "pool-max-conn";
        string what = hasValue ? $"{line.Words[index]} {line.Word(index + 1)}" : line.Words[index];
        conversion.Leave(line.Number, what, line.Words[index] switch
        {
            "cookie" => "see 'sticky' of the upstream",
            "weight" => "a weight is at least 1; 'penstock drain' takes a backend out",
            "resolvers" or "init-addr" => "not needed: names are looked up again and again",
            _ => Conversion.NothingSame,
        });
        return hasValue ? index + 1 : index;
    }
}
