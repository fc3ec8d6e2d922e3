using System.Globalization;
using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>Converts the JSON or YAML file of a small balancer: a port, backends, an algorithm, a health check, a
/// default limit and a database, whatever their keys are called (<see cref="SmallBalancerKeys"/>).</summary>
internal sealed class SmallBalancerConverter
{
    private readonly Conversion _conversion;
    private readonly bool _isJson;
    private readonly DraftMap _check = new();
    private readonly SmallBalancerStore _store = new();
    private readonly List<object> _backends = [];

    /// <summary>The keys whose value is in the result.</summary>
    private readonly Dictionary<SmallSetting, (string Key, string Text)> _taken = [];
    private int _limitLine;
    private (string Host, string Port) _listen = ("", "");
    private string? _balance;
    private string? _capacity;
    private double _rate;
    private double _refillSeconds = 1;
    private bool _limits = true;
    private bool _checks = true;

    private SmallBalancerConverter(Conversion conversion, bool isJson) =>
        (_conversion, _isJson) = (conversion, isJson);

    /// <param name="isJson">Numbers without a unit are milliseconds, as in JSON files of such balancers. YAML files
    /// have units.</param>
    public static void Convert(ConfigNode root, bool isJson, Conversion conversion)
    {
        var converter = new SmallBalancerConverter(conversion, isJson);
        converter.Walk(root, []);
        converter.Finish();
    }

    private void Walk(ConfigNode node, IReadOnlyList<string> path)
    {
        switch (node)
        {
            case MappingNode mapping:
                foreach (ConfigEntry entry in mapping.Entries)
                {
                    Walk(entry.Value, [.. path, entry.Key]);
                }
                break;
            case SequenceNode list when path.Count > 0 && SmallBalancerKeys.IsBackends(path[^1]):
                foreach (ConfigNode item in list.Items)
                {
                    Backend(item);
                }
                break;
            case ScalarNode scalar when path.Count > 0 && SmallBalancerKeys.IsBackends(path[^1]):
                foreach (string url in scalar.Text.Split(',', StringSplitOptions.TrimEntries))
                {
                    AddBackend(new DraftMap().Set("url", url), scalar);
                }
                break;
            case ScalarNode scalar when path.Count > 0:
                Take(SmallBalancerKeys.Find(path, out string unit), scalar, unit, path);
                break;
            case SequenceNode list:
                Leave(list, path, "Penstock has no setting that is certainly the same");
                break;
        }
    }

    private void Take(SmallSetting setting, ScalarNode scalar, string unit, IReadOnlyList<string> path)
    {
        if (_taken.TryGetValue(setting, out (string Key, string Text) taken) && taken.Text != scalar.Text)
        {
            Leave(scalar, path, $"{taken.Key} has set the same already");
        }
        else if (TrySet(setting, scalar, unit))
        {
            _taken[setting] = (string.Join('.', path), scalar.Text);
        }
        else
        {
            Leave(scalar, path, setting switch
            {
                SmallSetting.StoreUrl =>
                    "it is not in a form that is read; write store: postgres://user:password@host:5432/database",
                SmallSetting.Balance => "an unknown algorithm; without 'balance' it is round_robin",
                SmallSetting.None when path.Any(static key => Suggestion.Fold(key).Contains("limit")) =>
                    "Penstock has no setting that is certainly the same; limits of single clients are in the store: "
                    + "penstock clients set ID --capacity N --rate N/s",
                _ => "Penstock has no setting that is certainly the same",
            });
        }
    }

    private bool TrySet(SmallSetting setting, ScalarNode scalar, string unit)
    {
        string text = scalar.Text;
        DraftMap root = _conversion.Root;
        switch (setting)
        {
            case SmallSetting.Port:
                _listen.Port = text.TrimStart(':');
                return true;
            case SmallSetting.Host:
                _listen.Host = text;
                return true;
            case SmallSetting.Listen:
                int colon = text.LastIndexOf(':');
                _listen = colon < 0 ? text.All(char.IsAsciiDigit) ? (_listen.Host, text) : (text, _listen.Port)
                    : (text[..colon], text[(colon + 1)..]);
                return true;
            case SmallSetting.Balance:
                return ConfigValue.TryBalance(text, out _, out _) && (_balance = text) is not null;
            case SmallSetting.Header:
                root.Map("clients").Set("identify", new List<object> { $"header:{text}", "address" })
                    .Set("unknown", "own");
                return true;
            case SmallSetting.LogLevel:
                return text.ToLowerInvariant() is "debug" or "info" or "warning" or "warn" or "error"
                    && root.Map("log").Set("level", text.ToLowerInvariant()) is not null;
            case SmallSetting.Attempts:
                return int.TryParse(text, out _) && root.Map("retries").Set("attempts", text) is not null;
            case SmallSetting.Head or SmallSetting.Idle or SmallSetting.Response or SmallSetting.Connect
                or SmallSetting.Shutdown:
                return DurationOf(text, unit) is { } time
                    && root.Map("timeouts").Set(setting.ToString().ToLowerInvariant(), time) is not null;
            case SmallSetting.CheckInterval or SmallSetting.CheckTimeout or SmallSetting.CheckPath
                or SmallSetting.CheckRise or SmallSetting.CheckFall or SmallSetting.CheckEnabled:
                return TrySetCheck(setting, text, unit);
            case SmallSetting.Capacity or SmallSetting.Rate or SmallSetting.RefillInterval
                or SmallSetting.LimitEnabled:
                _limitLine = scalar.Location.Line;
                return TrySetLimit(setting, text, unit);
            default:
                return _store.TrySet(setting, text);
        }
    }

    private bool TrySetCheck(SmallSetting setting, string text, string unit)
    {
        switch (setting)
        {
            case SmallSetting.CheckInterval or SmallSetting.CheckTimeout:
                return DurationOf(text, unit) is { } time
                    && _check.Set(setting == SmallSetting.CheckInterval ? "interval" : "timeout", time) is not null;
            case SmallSetting.CheckPath:
                string path = Uri.TryCreate(text, UriKind.Absolute, out Uri? url)
                    && url.Scheme.StartsWith("http", StringComparison.Ordinal) ? url.PathAndQuery : text;
                _check.Set("path", path.StartsWith('/') ? path : "/" + path);
                return true;
            case SmallSetting.CheckEnabled:
                _checks = text != "false";
                return true;
            default:
                return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0
                    && _check.Set(setting == SmallSetting.CheckRise ? "rise" : "fall", text) is not null;
        }
    }

    private bool TrySetLimit(SmallSetting setting, string text, string unit)
    {
        double number = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
            out double read) ? read : 0;
        switch (setting)
        {
            case SmallSetting.LimitEnabled:
                _limits = text != "false";
                return true;
            case SmallSetting.Capacity when number >= 1 && double.IsInteger(number):
                _capacity = number.ToString("0", CultureInfo.InvariantCulture);
                return true;
            case SmallSetting.Rate when number > 0:
                _rate = number;
                return true;
            case SmallSetting.RefillInterval when DurationOf(text, unit) is { } time
                && ConfigValue.TryDuration(time, out TimeSpan interval, out _):
                _refillSeconds = interval.TotalSeconds;
                return true;
            default:
                return false;
        }
    }

    /// <summary>A duration in Penstock's form. Null if a number has no unit in YAML, where each library reads it
    /// differently.</summary>
    private string? DurationOf(string text, string unit)
    {
        if (ConfigValue.TryDuration(text, out _, out _))
        {
            return text;
        }
        string bare = unit.Length > 0 ? unit : _isJson ? "ms" : "";
        if (bare.Length == 0 || !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long count))
        {
            return null;
        }
        string written = bare == "ms" && count % 1000 == 0 ? $"{count / 1000}s" : $"{count}{bare}";
        return ConfigValue.TryDuration(written, out _, out _) ? written : null;
    }

    private void Backend(ConfigNode item)
    {
        if (item is ScalarNode scalar)
        {
            AddBackend(new DraftMap().Set("url", scalar.Text), scalar);
            return;
        }
        var backend = new DraftMap();
        (string host, string port) = ("", "");
        foreach (ConfigEntry entry in item is MappingNode mapping ? mapping.Entries : [])
        {
            string key = Suggestion.Fold(entry.Key), value = entry.Value is ScalarNode text ? text.Text : "";
            switch (key)
            {
                case "url" or "addr" or "address" or "uri" or "target":
                    backend.Set("url", value);
                    break;
                case "host" or "hostname" or "ip":
                    host = value;
                    break;
                case "port":
                    port = value;
                    break;
                case "weight" when value is not ("0" or ""):
                    backend.Set("weight", value);
                    break;
                case "maxconnections" or "maxconns":
                    backend.Set("max_connections", value);
                    break;
                case "backup":
                    backend.Set("backup", value);
                    break;
                case "name" or "id":
                    Leave(entry.Value, [entry.Key], "a backend is named by its address");
                    break;
                default:
                    Walk(entry.Value, [entry.Key]);
                    break;
            }
        }
        string at = backend["url"] as string ?? host;
        if (at.Length > 0)
        {
            bool hasPort = port.Length == 0 || at[(at.IndexOf("://", StringComparison.Ordinal) + 1)..].TrimStart('/')
                .Contains(':', StringComparison.Ordinal);
            backend.Set("url", hasPort ? at : $"{at.TrimEnd('/')}:{port}");
        }
        AddBackend(backend, item);
    }

    private void AddBackend(DraftMap backend, ConfigNode at)
    {
        string url = backend["url"] as string ?? "";
        url = url.Length == 0 || url.Contains("://", StringComparison.Ordinal) ? url : $"http://{url}";
        if (!ConfigValue.TryBackend(url.TrimEnd('/'), out _, out string error))
        {
            _conversion.Leave(at.Location.Line, $"backend {url}", url.Length == 0 ? "it has no address" : error);
            return;
        }
        backend.Set("url", url.TrimEnd('/'));
        _backends.Add(backend.Entries.Count == 1 ? backend["url"]! : backend);
    }

    private void Leave(ConfigNode node, IReadOnlyList<string> path, string why) => _conversion.Leave(
        node.Location.Line, string.Join('.', path), _isJson || node is not ScalarNode { Text: var text }
            || !long.TryParse(text, out _) || !SmallBalancerKeys.IsTime(path[^1]) ? why
            : why + "; a time needs its unit, such as 5s");

    private void Finish()
    {
        DraftMap root = _conversion.Root;
        if (_listen != ("", ""))
        {
            string host = _listen.Host is "localhost" ? "127.0.0.1" : _listen.Host;
            _conversion.Listen(1, $"{(host.Length == 0 ? "0.0.0.0" : host)}:"
                + (_listen.Port.Length == 0 ? "8080" : _listen.Port));
        }
        if (_backends.Count > 0)
        {
            root.Set("backends", _backends).Set("balance", _balance);
        }
        if (_checks && !_check.IsEmpty)
        {
            root.Set("health_check", _check["path"] is null ? _check.Set("type", "tcp") : _check);
        }
        if (_limits && _capacity is not null && _rate > 0)
        {
            root.Map("limits").Set("default", new DraftMap().Set("capacity", _capacity)
                .Set("rate", Conversion.RateOf(_rate / _refillSeconds)));
        }
        else if (_limits && (_capacity is not null || _rate > 0))
        {
            _conversion.Leave(_limitLine, "the default limit", _capacity is null
                ? "its capacity was not found; without one there is no limit"
                : $"its capacity is {_capacity}, but its rate was not found; without one there is no limit");
        }
        root.Set("store", _store.Text);
    }
}
