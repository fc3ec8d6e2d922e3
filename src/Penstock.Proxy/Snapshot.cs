using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>The compiled configuration in force. Immutable: a loop reads one reference per request and sees one
/// consistent whole. Upstreams and buckets outlive a configuration; the snapshot only refers to them.</summary>
internal sealed class Snapshot
{
    private const string DefaultLimit = "default";

    public Snapshot(ProxyConfig config, Limiter limiter, IReadOnlyList<Upstream> upstreams,
        IReadOnlyDictionary<string, ListenerSettings> listeners, RouteNumbers numbers)
    {
        Config = config;
        Listeners = listeners;
        CertificateFields = [.. config.Listeners.SelectMany(static l => l.Tls?.ClientAuth?.Passed ?? [])
            .Select(static passed => new AlikeName(passed.Field))];
        Limiter = limiter;
        Identifier = new ClientIdentifier(config.Clients, limiter);

        Upstreams = upstreams;
        Dictionary<string, LimitRule> rules = config.Limits.ToDictionary(static l => l.Key,
            l => limiter.Limits.RuleOf(l.Key, l.Value));
        Routes = new RouteTable(config.Routes.Select(r =>
        {
            Upstream upstream = Upstreams.First(u => string.Equals(u.Name, r.Upstream, StringComparison.Ordinal));
            return new Route(r, r.Name, upstream, config.LimitFields, RulesOf(config, r, upstream.Config, rules))
            {
                Number = numbers.Of(r.Name),
            };
        }));

        Answers = new AnswerPages(config.Answers);
        AccessFilter = new AccessFilter(config.AccessLog);
        AccessFormat = AccessFormat.Of(config.AccessLog);
        QueryMask = config.AccessLog.ShowsQuery ? new QueryMask(config.Clients.Identify) : null;
        HeadBounds = new HeadBounds(config.Bounds.RequestLineBytes, config.Bounds.HeadBytes, config.Bounds.HeadFields);
        HandshakeTimeoutMs = (long)config.Timeouts.Handshake.TotalMilliseconds;
        HeadTimeoutMs = (long)config.Timeouts.Head.TotalMilliseconds;
        IdleTimeoutMs = (long)config.Timeouts.Idle.TotalMilliseconds;
        BackendIdleMs = (long)config.Timeouts.BackendIdle.TotalMilliseconds;
        ConnectTimeoutMs = (long)config.Timeouts.Connect.TotalMilliseconds;
        ResponseTimeoutMs = (long)config.Timeouts.Response.TotalMilliseconds;
        TunnelTimeoutMs = (long)config.Timeouts.Tunnel.TotalMilliseconds;
        TokenWaitMs = (long)config.Timeouts.Tokens.TotalMilliseconds;
    }

    private static LimitRules RulesOf(ProxyConfig config, RouteConfig route, UpstreamConfig upstream,
        Dictionary<string, LimitRule> rules)
    {
        IEnumerable<string> names = route.Limits ?? (rules.ContainsKey(DefaultLimit) ? [DefaultLimit] : []);
        return new LimitRules(names.Concat(upstream.Limits).Concat(config.EveryLimit).Select(n => rules[n]),
            route.Cost, off: route.Limits is { Count: 0 });
    }

    public ProxyConfig Config { get; }

    /// <summary>The listeners by <see cref="ListenerConfig.Text"/>.</summary>
    public IReadOnlyDictionary<string, ListenerSettings> Listeners { get; }

    /// <summary>Fields in which backends get parts of clients' certificates, so nobody else may send them.</summary>
    public AlikeName[] CertificateFields { get; }
    public Limiter Limiter { get; }
    public ClientIdentifier Identifier { get; }
    public IReadOnlyList<Upstream> Upstreams { get; }
    public RouteTable Routes { get; }
    public HeadBounds HeadBounds { get; }

    /// <summary>Bodies and header fields of Penstock's own answers.</summary>
    public AnswerPages Answers { get; }
    public AccessFilter AccessFilter { get; }
    public AccessFormat AccessFormat { get; }

    /// <summary>Null: the access log shows no queries.</summary>
    public QueryMask? QueryMask { get; }
    public long HandshakeTimeoutMs { get; }
    public long HeadTimeoutMs { get; }
    public long IdleTimeoutMs { get; }
    public long BackendIdleMs { get; }
    public long ConnectTimeoutMs { get; }
    public long ResponseTimeoutMs { get; }
    public long TunnelTimeoutMs { get; }
    public long TokenWaitMs { get; }
}
