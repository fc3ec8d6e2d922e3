using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The client of a request, for its admission.</summary>
internal readonly ref struct AdmissionRequest
{
    /// <summary>The registered client; null for an unregistered one.</summary>
    public RegisteredClient? Registered { get; init; }

    /// <summary>The client's name. <see cref="Domain"/> tells equal names of different kinds apart.</summary>
    public ReadOnlySpan<byte> Client { get; init; }
    public ulong Domain { get; init; }

    /// <summary>The client name of the caller's address.</summary>
    public ReadOnlySpan<byte> Address { get; init; }

    /// <summary>Whether the request may wait for tokens that this node does not have, see
    /// <see cref="Admission.Awaited"/>.</summary>
    public bool MayWait { get; init; }

    /// <summary>The bucket whose tokens were taken for the request while it waited. The admission uses them or gives
    /// them back.</summary>
    public LeasedBucket? Prepaid { get; init; }
}

/// <summary>Admits one request under all its limits, or takes nothing from any. Reused with its exchange; allocates
/// nothing. Not thread-safe, but the buckets are.</summary>
internal sealed partial class Admission
{
    private readonly AppliedLimit[] _limits = new AppliedLimit[LimitConfig.MaxPerRequest + 1]; // and the client's own
    private Limiter? _limiter;
    private int _cost;
    private int _count;
    private int _rejectedBy = -1;
    private int _dryRejectedBy = -1;
    private LeasedBucket? _prepaid;
    private string? _client;

    /// <summary>Set when the request is rejected only because this bucket has too few tokens here, and the shared
    /// bucket may have them. When a lease brings them, or shows that there are none, decide again.</summary>
    public LeasedBucket? Awaited { get; private set; }

    public ReadOnlySpan<AppliedLimit> Limits => _limits.AsSpan(0, _count);

    /// <summary>Tokens that the request takes from each bucket.</summary>
    public int Cost => _cost;

    /// <summary>The first dry-run limit that would have rejected the request; null: none.</summary>
    public LimitRule? DryRejection => _dryRejectedBy < 0 ? null : _limits[_dryRejectedBy].Rule;

    /// <summary>The limit that rejected the request, or would have without dry run.</summary>
    public AppliedLimit Rejection => _limits[Rejected ? _rejectedBy : _dryRejectedBy];

    public bool Rejected => _rejectedBy >= 0;

    /// <summary>The request was rejected by a concurrency limit.</summary>
    public bool RejectedForConcurrency => Rejected && _limits[_rejectedBy].Full;

    /// <summary>The limit to report: the one that rejected the request, else the first. False when no limit
    /// applies.</summary>
    public bool TryGetDecisive(out AppliedLimit limit)
    {
        limit = _count > 0 ? _limits[Math.Max(0, _rejectedBy)] : default;
        return _count > 0;
    }

    /// <summary>Seconds after which the rejected request would be admitted if no other request came; 1 for a
    /// concurrency limit, where the time is unknown; 0: never.</summary>
    public long RetryAfterSeconds
    {
        get
        {
            AppliedLimit by = Rejection;
            return by.Full ? 1 : Math.Max(0, by.Limit!.SecondsUntil(by.State, by.Clock, _cost));
        }
    }

    /// <summary>Whether the limit admits the request, after
    /// <see cref="Peek(Limiter, LimitRules, in AdmissionRequest, long)"/>.</summary>
    public bool Admits(in AppliedLimit limit) => !limit.Full
        && (limit.Limit is null || limit.Limit.SecondsUntil(limit.State, limit.Clock, _cost) == 0);

    public void Reset()
    {
        _count = 0;
        _rejectedBy = _dryRejectedBy = -1;
        Awaited = null;
    }

    /// <summary>Admits the request under all these limits, or takes nothing from any.</summary>
    public bool TryAdmit(Limiter limiter, LimitRules rules, in AdmissionRequest request, long nowNs)
    {
        _limiter = limiter;
        _cost = rules.Cost;
        _prepaid = request.Prepaid;
        CollectLimits(rules, request);
        for (int i = 0; i < _count; i++)
        {
            ref AppliedLimit limit = ref _limits[i];
            if (TryEnter(ref limit) && TryTake(ref limit, nowNs))
            {
                continue;
            }
            if (limit.Rule.Config.DryRun)
            {
                limit.DryRejected = true;
                _dryRejectedBy = _dryRejectedBy < 0 ? i : _dryRejectedBy;
                Leave(ref limit);
                continue;
            }
            Reject(i, request.MayWait, nowNs);
            break;
        }
        if (_prepaid is not null)
        {
            ReturnPrepaid(nowNs);
        }
        return !Rejected;
    }

    private void Reject(int by, bool mayWait, long nowNs)
    {
        for (int j = 0; j <= by; j++)
        {
            GiveBack(ref _limits[j], nowNs);
        }
        _rejectedBy = by;
        if (mayWait && !_limits[by].Full && _limits[by].Bucket?.Awaitable(nowNs, _cost) is { } awaited
            && OthersAdmit(by + 1, nowNs))
        {
            Awaited = awaited;
        }
    }

    /// <summary>Whether the later limits admit the request. If one does not, waiting for tokens is pointless, and that
    /// limit is the one that rejects.</summary>
    private bool OthersAdmit(int from, long nowNs)
    {
        for (int i = from; i < _count; i++)
        {
            ref AppliedLimit limit = ref _limits[i];
            if (!limit.Rule.Config.DryRun && !Admits(ref limit, nowNs))
            {
                _rejectedBy = i;
                return false;
            }
        }
        return true;
    }

    /// <summary>Gives prepaid tokens back: their limit was not asked, or it is another one by now.</summary>
    private void ReturnPrepaid(long nowNs)
    {
        _prepaid!.Debit(nowNs, -_cost);
        _prepaid = null;
    }

    /// <summary>As <see cref="TryAdmit"/>, but takes nothing.</summary>
    public bool Peek(Limiter limiter, LimitRules rules, in AdmissionRequest request, long nowNs)
    {
        _limiter = limiter;
        _cost = rules.Cost;
        CollectLimits(rules, request);
        for (int i = 0; i < _count; i++)
        {
            ref AppliedLimit limit = ref _limits[i];
            bool admits = Admits(ref limit, nowNs);
            if (!admits && limit.Rule.Config.DryRun)
            {
                _dryRejectedBy = _dryRejectedBy < 0 ? i : _dryRejectedBy;
            }
            else if (!admits && _rejectedBy < 0)
            {
                _rejectedBy = i;
            }
        }
        return !Rejected;
    }

    /// <summary>Takes tokens from the limits that count this status. Concurrent requests may all be admitted before the
    /// first is charged, so a bucket may go negative, down to minus its capacity.</summary>
    public void CountStatus(int status, long nowNs)
    {
        for (int i = 0; i < _count; i++)
        {
            ref AppliedLimit limit = ref _limits[i];
            if (!limit.Rule.CountedStatuses.IsEmpty && limit.Rule.CountedStatuses.Contains(status))
            {
                Debit(ref limit, _cost, nowNs);
            }
        }
    }

    /// <summary>Counts what each limit has decided. A limit that would have admitted a request which another one
    /// rejected has decided nothing, and neither has any if the client left while the request waited for tokens.
    /// </summary>
    /// <param name="loop">The number of the calling loop.</param>
    public void CountDecisions(int loop)
    {
        if (Awaited is not null)
        {
            return;
        }
        for (int i = 0; i < _count; i++)
        {
            ref AppliedLimit limit = ref _limits[i];
            LimitCounts? counts = limit.IsOwn && !limit.Full ? _limiter!.Limits.OwnCounts : limit.Rule.Counts;
            if (i == _rejectedBy)
            {
                counts?.Add(loop, LimitDecision.Rejected);
            }
            else if (limit.DryRejected)
            {
                counts?.Add(loop, LimitDecision.DryRunRejected);
            }
            else if (!Rejected)
            {
                counts?.Add(loop, LimitDecision.Admitted);
            }
        }
    }

    /// <summary>Removes the request from the counts of requests in flight.</summary>
    public void Leave()
    {
        for (int i = 0; i < _count; i++)
        {
            Leave(ref _limits[i]);
        }
    }

    private void CollectLimits(LimitRules rules, in AdmissionRequest request)
    {
        _client = request.Registered?.Id;
        ulong client = 0; // hashed when first needed
        ulong address = 0;
        if (request.Registered is not null && rules.AddsOwn)
        {
            _limits[_count++] = new AppliedLimit
            {
                Rule = LimitRule.OwnLimit,
                Bucket = request.Registered.Bucket,
                IsOwn = true,
            };
        }
        for (int i = 0; i < rules.Rules.Length; i++)
        {
            LimitRule rule = rules.Rules[i];
            bool own = i == rules.OwnIndex && request.Registered is not null;
            ref AppliedLimit limit = ref _limits[_count++];
            limit = new AppliedLimit
            {
                Rule = rule,
                Bucket = own ? request.Registered!.Bucket : rule.Common,
                IsOwn = own,
            };
            if (request.Registered?.Terms?.BucketOf(rule) is { } named)
            {
                (limit.Bucket, limit.IsOwn) = (named, false);
            }
            if (limit.Bucket is not null && rule.Config.Concurrent == 0)
            {
                continue; // no key is needed
            }
            limit.Hash = rule.Config.By switch
            {
                LimitKey.Client => client = client != 0 ? client : _limiter!.HashOf(request.Client, request.Domain),
                LimitKey.Address => address = address != 0 ? address : _limiter!.HashOf(request.Address, 0),
                _ => 0,
            };
        }
    }

    private bool TryEnter(ref AppliedLimit limit)
    {
        int max = limit.Rule.Config.Concurrent;
        limit.Entered = max > 0 && _limiter!.Concurrency.TryEnter(limit.ConcurrencyKey, max);
        limit.Full = max > 0 && !limit.Entered;
        return !limit.Full;
    }

    /// <summary>Whether the limit would admit the request. Takes nothing.</summary>
    private bool Admits(ref AppliedLimit limit, long nowNs)
    {
        int max = limit.Rule.Config.Concurrent;
        limit.Full = max > 0 && _limiter!.Concurrency.Peek(limit.ConcurrencyKey) >= max;
        return Peek(ref limit, nowNs) && !limit.Full;
    }
}
