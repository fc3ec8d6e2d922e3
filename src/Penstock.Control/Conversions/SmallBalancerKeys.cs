using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>What a value of a small balancer's file sets.</summary>
internal enum SmallSetting
{
    None, Port, Listen, Host, Balance, Header, LogLevel, Attempts,
    Head, Idle, Response, Connect, Shutdown,
    CheckInterval, CheckTimeout, CheckPath, CheckRise, CheckFall, CheckEnabled,
    Capacity, Rate, RefillInterval, LimitEnabled,
    StoreUrl, StoreFile, StoreHost, StorePort, StoreUser, StorePassword, StoreName, StoreKind,
}

/// <summary>The keys of many small balancers that solve one exercise: each has names of its own for the same few
/// settings. A key is recognised by its last word and by the section that it is in.</summary>
internal static class SmallBalancerKeys
{
    private static readonly string[] Backends =
    [
        "backends", "backend", "servers", "replicas", "backendservers", "backendurls", "serverurls", "upstreams",
        "targets", "nodes", "hosts", "endpoints", "instances", "urls", "destinations", "pool", "backendpool",
    ];

    /// <summary>Sections that say nothing about what is in them. The port of any other section, such as that of a
    /// cache, is not the balancer's; nor is the capacity in it that of all clients.</summary>
    private static readonly string[] PlainSections =
    [
        "server", "http", "lb", "balancer", "loadbalancer", "loadbalancing", "balancing", "proxy", "app", "application",
        "service", "gateway", "listen", "listener", "main", "settings", "general", "global", "config", "strategy",
        "algorithm", "log", "logs", "logger", "logging", "retry", "retries", "timeout", "timeouts", "client", "clients",
        "default", "defaults",
    ];

    private static readonly string[] TimeWords =
        ["interval", "timeout", "period", "duration", "delay", "ttl", "window", "frequency", "time"];

    /// <summary>The words of a section, those that are left out of a key in it, and its keys.</summary>
    private static readonly (string[] Words, string[] Omit, Dictionary<string, SmallSetting> Keys)[] Sections =
    [
        (["health", "check"], ["healthchecker", "healthcheck", "health", "checker", "check"], new()
        {
            ["interval"] = SmallSetting.CheckInterval, ["period"] = SmallSetting.CheckInterval,
            ["frequency"] = SmallSetting.CheckInterval, ["timeout"] = SmallSetting.CheckTimeout,
            ["path"] = SmallSetting.CheckPath, ["url"] = SmallSetting.CheckPath, ["uri"] = SmallSetting.CheckPath,
            ["endpoint"] = SmallSetting.CheckPath, ["enabled"] = SmallSetting.CheckEnabled,
            ["ythreshold"] = SmallSetting.CheckRise, ["rise"] = SmallSetting.CheckRise,
            ["unythreshold"] = SmallSetting.CheckFall, ["fall"] = SmallSetting.CheckFall,
            ["maxfails"] = SmallSetting.CheckFall,
        }),
        (["limit", "bucket", "throttl"],
            ["ratelimiter", "ratelimiting", "ratelimits", "ratelimit", "limiter", "tokenbucket", "bucket", "default",
                "client"], new()
        {
            ["capacity"] = SmallSetting.Capacity, ["burst"] = SmallSetting.Capacity,
            ["maxtokens"] = SmallSetting.Capacity, ["size"] = SmallSetting.Capacity, ["max"] = SmallSetting.Capacity,
            ["rate"] = SmallSetting.Rate, ["ratepersec"] = SmallSetting.Rate, ["ratepersecond"] = SmallSetting.Rate,
            ["refillrate"] = SmallSetting.Rate, ["refillpersec"] = SmallSetting.Rate, ["refill"] = SmallSetting.Rate,
            ["refillpersecond"] = SmallSetting.Rate, ["rps"] = SmallSetting.Rate, ["persec"] = SmallSetting.Rate,
            ["tokenspersecond"] = SmallSetting.Rate, ["tokenspersec"] = SmallSetting.Rate,
            ["requestspersecond"] = SmallSetting.Rate, ["persecond"] = SmallSetting.Rate,
            ["refillratepersec"] = SmallSetting.Rate, ["refillratepersecond"] = SmallSetting.Rate,
            ["refillinterval"] = SmallSetting.RefillInterval, ["refillperiod"] = SmallSetting.RefillInterval,
            ["interval"] = SmallSetting.RefillInterval, ["enabled"] = SmallSetting.LimitEnabled,
            ["header"] = SmallSetting.Header, ["headername"] = SmallSetting.Header,
            ["idheader"] = SmallSetting.Header, ["idheadername"] = SmallSetting.Header,
            ["databasepath"] = SmallSetting.StoreFile, ["dbpath"] = SmallSetting.StoreFile,
        }),
        (["database", "db", "postgres", "postgresql", "pg", "sqlite", "storage"],
            ["database", "postgresql", "postgres", "sqlite", "storage", "db"], new()
        {
            ["url"] = SmallSetting.StoreUrl, ["dsn"] = SmallSetting.StoreUrl, ["uri"] = SmallSetting.StoreUrl,
            ["connectionstring"] = SmallSetting.StoreUrl, ["connstring"] = SmallSetting.StoreUrl,
            ["path"] = SmallSetting.StoreFile, ["file"] = SmallSetting.StoreFile, ["host"] = SmallSetting.StoreHost,
            ["port"] = SmallSetting.StorePort, ["user"] = SmallSetting.StoreUser,
            ["username"] = SmallSetting.StoreUser, ["password"] = SmallSetting.StorePassword,
            ["pass"] = SmallSetting.StorePassword, ["name"] = SmallSetting.StoreName, [""] = SmallSetting.StoreName,
            ["driver"] = SmallSetting.StoreKind, ["type"] = SmallSetting.StoreKind,
        }),
        ([], ["loadbalancer", "balancer", "server", "http", "lb"], new()
        {
            ["port"] = SmallSetting.Port, ["listenport"] = SmallSetting.Port, ["host"] = SmallSetting.Host,
            ["listen"] = SmallSetting.Listen, ["addr"] = SmallSetting.Listen, ["address"] = SmallSetting.Listen,
            ["listenaddr"] = SmallSetting.Listen, ["listenaddress"] = SmallSetting.Listen,
            ["listenaddres"] = SmallSetting.Listen, ["bind"] = SmallSetting.Listen,
            ["algorithm"] = SmallSetting.Balance, ["strategy"] = SmallSetting.Balance,
            ["method"] = SmallSetting.Balance, ["policy"] = SmallSetting.Balance, ["balance"] = SmallSetting.Balance,
            ["mode"] = SmallSetting.Balance, [""] = SmallSetting.Balance, ["type"] = SmallSetting.Balance,
            ["loadbalancingalgorithm"] = SmallSetting.Balance, ["loadbalancing"] = SmallSetting.Balance,
            ["balancing"] = SmallSetting.Balance, ["balancingalgorithm"] = SmallSetting.Balance,
            ["balancingstrategy"] = SmallSetting.Balance, ["readheadertimeout"] = SmallSetting.Head,
            ["idletimeout"] = SmallSetting.Idle, ["keepalivetimeout"] = SmallSetting.Idle,
            ["shutdowntimeout"] = SmallSetting.Shutdown, ["gracefultimeout"] = SmallSetting.Shutdown,
            ["gracefulshutdowntimeout"] = SmallSetting.Shutdown, ["connecttimeout"] = SmallSetting.Connect,
            ["dialtimeout"] = SmallSetting.Connect, ["responsetimeout"] = SmallSetting.Response,
            ["requesttimeout"] = SmallSetting.Response, ["proxytimeout"] = SmallSetting.Response,
            ["backendtimeout"] = SmallSetting.Response, ["loglevel"] = SmallSetting.LogLevel,
            ["level"] = SmallSetting.LogLevel, ["maxretries"] = SmallSetting.Attempts,
            ["retries"] = SmallSetting.Attempts, ["clientheader"] = SmallSetting.Header,
            ["clientidheader"] = SmallSetting.Header, ["apikeyheader"] = SmallSetting.Header,
            // Without a section of their own these are those of the limit.
            ["capacity"] = SmallSetting.Capacity, ["defaultcapacity"] = SmallSetting.Capacity,
            ["maxtokens"] = SmallSetting.Capacity, ["defaultmaxtokens"] = SmallSetting.Capacity,
            ["burst"] = SmallSetting.Capacity, ["defaultburst"] = SmallSetting.Capacity,
            ["ratepersec"] = SmallSetting.Rate, ["ratepersecond"] = SmallSetting.Rate,
            ["defaultratepersec"] = SmallSetting.Rate, ["defaultratepersecond"] = SmallSetting.Rate,
            ["refillpersec"] = SmallSetting.Rate, ["refillpersecond"] = SmallSetting.Rate,
            ["refillratepersec"] = SmallSetting.Rate, ["defaultrefillratepersec"] = SmallSetting.Rate,
            ["refillrate"] = SmallSetting.Rate, ["rps"] = SmallSetting.Rate, ["defaultrps"] = SmallSetting.Rate,
            ["defaultrate"] = SmallSetting.Rate, ["defaultrefillrate"] = SmallSetting.Rate,
            ["dsn"] = SmallSetting.StoreUrl,
        }),
    ];

    /// <summary>Whether the key's name says that its value is a time.</summary>
    public static bool IsTime(string key) =>
        TimeWords.Any(word => Suggestion.Fold(key).Contains(word, StringComparison.Ordinal));

    public static bool IsBackends(string key) => Backends.Contains(Suggestion.Fold(key));

    /// <param name="path">The keys from the top of the file.</param>
    /// <param name="unit">The unit that the key names: <c>ms</c>, <c>s</c>, or nothing.</param>
    public static SmallSetting Find(IReadOnlyList<string> path, out string unit)
    {
        List<string> folded = [.. path.Select(Suggestion.Fold)];
        foreach ((string[] words, string[] omit, Dictionary<string, SmallSetting> keys) in Sections)
        {
            if (words.Length > 0 && !folded.Exists(key => words.Any(word => IsIn(word, key))))
            {
                continue;
            }
            if ((words.Length == 0 || keys.ContainsValue(SmallSetting.Capacity))
                && folded[..^1].Exists(section => !IsPlain(section) && !words.Any(word => IsIn(word, section))))
            {
                break;
            }
            string key = folded[^1];
            foreach ((string end, string meaning) in ((string, string)[])[("", ""), ("ms", "ms"), ("millis", "ms"),
                ("milliseconds", "ms"), ("sec", "s"), ("seconds", "s"), ("s", "s")])
            {
                if (key.EndsWith(end, StringComparison.Ordinal)
                    && Find(key[..^end.Length], omit, keys) is not SmallSetting.None and var setting)
                {
                    unit = meaning;
                    return setting;
                }
            }
            break; // a key within the section of another subject is not one of the last section
        }
        unit = "";
        return SmallSetting.None;
    }

    private static SmallSetting Find(string key, string[] omit, Dictionary<string, SmallSetting> keys)
    {
        if (keys.TryGetValue(key, out SmallSetting setting))
        {
            return setting;
        }
        string rest = omit.Aggregate(key, static (left, word) => left.Replace(word, "", StringComparison.Ordinal));
        return rest == key ? SmallSetting.None : keys.GetValueOrDefault(rest);
    }

    /// <summary>Whether it consists of such words: <c>http_server</c> does, <c>metrics_server</c> does not.</summary>
    private static bool IsPlain(string section) => PlainSections.OrderByDescending(static word => word.Length)
        .Aggregate(section, static (left, word) => left.Replace(word, "", StringComparison.Ordinal)).Length == 0;

    /// <summary>Short words must be the whole key or its beginning: <c>db</c> is in <c>db_host</c>, not in
    /// <c>feedback</c>.</summary>
    private static bool IsIn(string word, string key) =>
        word.Length <= 2 ? key.StartsWith(word, StringComparison.Ordinal)
            : key.Contains(word, StringComparison.Ordinal);
}
