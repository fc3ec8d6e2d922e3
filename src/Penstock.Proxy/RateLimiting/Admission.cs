using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>For whom and how much a request is to be admitted.</summary>
internal readonly ref struct AdmissionRequest
{
    /// <summary>Null for a client without a setting of its own.</summary>
    public RegisteredClient? Registered { get; init; }

    /// <summary>The client's name, and what tells equal names of different kinds apart.</summary>
    public ReadOnlySpan<byte> Client { get; init; }
    public ulong Domain { get; init; }

    /// <summary>The caller's address as a client's name.</summary>
    public ReadOnlySpan<byte> Address { get; init; }

    /// <summary>It may wait for tokens that are not here, see <see cref="Admission.Awaited"/>.</summary>
    public bool MayWait { get; init; }

    /// <summary>Whose tokens were taken for it while it waited: those it uses, or gives back.</summary>
    public LeasedClient? Prepaid { get; init; }
}

/// <summary>One limit that a request is under, and what it took of it.</summary>
internal struct Charge
{
    public LimitRule Rule;

    /// <summary>The arithmetic of the bucket; null when the rule has none.</summary>
    public Limit? Limit;

    /// <summary>The bucket, when it is not one of the table's.</summary>
    public RegisteredClient? Bucket;

    /// <summary>The key of the bucket in the table, and of the requests under way.</summary>
    public ulong Hash;

    /// <summary>The bucket's word after the decision, and the limit's clock then.</summary>
    public long Word;
    public long Clock;

    /// <summary>Tokens were taken, a slot was.</summary>
    public bool Taken;
    public bool Entered;

    /// <summary>It was refused for want of a slot.</summary>
    public bool Full;

    /// <summary>What the client and the log know the limit by: a registered client's own is <c>client</c>.</summary>
    public readonly byte[] NameOctets => Full || Limit is null ? Rule.NameOctets : Limit.NameOctets;

    public readonly double Tokens => Limit!.Tokens(Word, Clock);

    public readonly long WholeTokens => Limit!.WholeTokens(Word, Clock);

    public readonly long SecondsToNextToken => Limit!.SecondsToNextToken(Word, Clock);

    public readonly long SecondsToFull => Limit!.SecondsToFull(Word, Clock);

    public readonly ulong SlotKey => Hash ^ Rule.SlotKey;
}

/// <summary>What one request took from all its limits: all of them admit it, or none is charged. Reused with its
/// exchange; allocates nothing. Not thread-safe; the buckets are.</summary>
internal sealed class Admission
{
    private readonly Charge[] _charges = new Charge[LimitConfig.MaxPerRequest + 1]; // and the client's own
    private Limiter? _limiter;
    private int _cost;
    private int _count;
    private int _refusedBy = -1;
    private int _dryRefusedBy = -1;
    private LeasedClient? _prepaid;

    /// <summary>Refused for now, and by nothing but the want of this client's tokens, which may be in the bucket that
    /// nodes share: once they are here, or known not to be, the request is to be decided anew.</summary>
    public LeasedClient? Awaited { get; private set; }

    public ReadOnlySpan<Charge> Charges => _charges.AsSpan(0, _count);

    /// <summary>Tokens that were asked of each bucket.</summary>
    public int Cost => _cost;

    /// <summary>The first limit in dry run that would have refused.</summary>
    public LimitRule? DryRefusal => _dryRefusedBy < 0 ? null : _charges[_dryRefusedBy].Rule;

    /// <summary>What refused, or else would have refused without dry run.</summary>
    public Charge Refusal => _charges[Refused ? _refusedBy : _dryRefusedBy];

    public bool Refused => _refusedBy >= 0;

    /// <summary>Refused because the client has too many requests under way.</summary>
    public bool RefusedForSlot => Refused && _charges[_refusedBy].Full;

    /// <summary>The limit that tells how the request stands: the one that refused it, else the client's.</summary>
    public bool TryGetDecisive(out Charge charge)
    {
        charge = _count > 0 ? _charges[Math.Max(0, _refusedBy)] : default;
        return _count > 0;
    }

    /// <summary>Seconds after which the refused request would be admitted if nobody else came; 1 where nobody knows;
    /// 0: never.</summary>
    public long RetryAfterSeconds
    {
        get
        {
            Charge refusal = Refusal;
            return refusal.Full ? 1 : Math.Max(0, refusal.Limit!.SecondsUntil(refusal.Word, refusal.Clock, _cost));
        }
    }

    /// <summary>What the limit says, after <see cref="Look"/>.</summary>
    public bool Admits(in Charge charge) => !charge.Full
        && (charge.Limit is null || charge.Limit.SecondsUntil(charge.Word, charge.Clock, _cost) == 0);

    public void Reset()
    {
        _count = 0;
        _refusedBy = _dryRefusedBy = -1;
        Awaited = null;
    }

    /// <summary>Admits the request under all these limits, or takes from none.</summary>
    public bool TryAdmit(Limiter limiter, LimitRules rules, in AdmissionRequest request, long nowNs)
    {
        _limiter = limiter;
        _cost = rules.Cost;
        _prepaid = request.Prepaid;
        Line(rules, request);
        for (int i = 0; i < _count; i++)
        {
            ref Charge charge = ref _charges[i];
            if (TryEnter(ref charge) && TryTake(ref charge, nowNs))
            {
                continue;
            }
            if (charge.Rule.Config.DryRun)
            {
                _dryRefusedBy = _dryRefusedBy < 0 ? i : _dryRefusedBy;
                Leave(ref charge);
                continue;
            }
            Refuse(i, request.MayWait, nowNs);
            break;
        }
        if (_prepaid is not null)
        {
            ReturnPrepaid(nowNs);
        }
        return !Refused;
    }

    private void Refuse(int by, bool mayWait, long nowNs)
    {
        for (int j = 0; j <= by; j++)
        {
            GiveBack(ref _charges[j], nowNs);
        }
        _refusedBy = by;
        if (mayWait && !_charges[by].Full && _charges[by].Bucket is LeasedClient leased && leased.MayCome(nowNs, _cost)
            && OthersAdmit(by + 1, nowNs))
        {
            Awaited = leased;
        }
    }

    /// <summary>There is no point in waiting for tokens where a later limit refuses anyway: then that is the one that
    /// does.</summary>
    private bool OthersAdmit(int from, long nowNs)
    {
        for (int i = from; i < _count; i++)
        {
            ref Charge charge = ref _charges[i];
            if (!charge.Rule.Config.DryRun && !Admits(ref charge, nowNs))
            {
                _refusedBy = i;
                return false;
            }
        }
        return true;
    }

    /// <summary>The limit that they were taken for was not asked, or is another one by now.</summary>
    private void ReturnPrepaid(long nowNs)
    {
        _prepaid!.Charge(nowNs, -_cost);
        _prepaid = null;
    }

    /// <summary>What the limits would say, taking nothing.</summary>
    public bool Look(Limiter limiter, LimitRules rules, in AdmissionRequest request, long nowNs)
    {
        _limiter = limiter;
        _cost = rules.Cost;
        Line(rules, request);
        for (int i = 0; i < _count; i++)
        {
            ref Charge charge = ref _charges[i];
            bool admits = Admits(ref charge, nowNs);
            if (!admits && charge.Rule.Config.DryRun)
            {
                _dryRefusedBy = _dryRefusedBy < 0 ? i : _dryRefusedBy;
            }
            else if (!admits && _refusedBy < 0)
            {
                _refusedBy = i;
            }
        }
        return !Refused;
    }

    /// <summary>Takes the tokens of the limits that count such a status. They may go below nothing, by a whole bucket
    /// at most: requests that came together were all admitted while the tokens of the first were still there.</summary>
    public void CountStatus(int status, long nowNs)
    {
        for (int i = 0; i < _count; i++)
        {
            ref Charge charge = ref _charges[i];
            if (!charge.Rule.CountedStatuses.IsEmpty && charge.Rule.CountedStatuses.Contains(status))
            {
                Add(ref charge, _cost, nowNs);
            }
        }
    }

    /// <summary>The request is over.</summary>
    public void Leave()
    {
        for (int i = 0; i < _count; i++)
        {
            Leave(ref _charges[i]);
        }
    }

    private void Line(LimitRules rules, in AdmissionRequest request)
    {
        ulong client = 0; // hashed when first wanted
        ulong address = 0;
        if (request.Registered is not null && rules.AddsOwn)
        {
            _charges[_count++] = new Charge { Rule = LimitRule.OwnLimit, Bucket = request.Registered };
        }
        for (int i = 0; i < rules.Rules.Length; i++)
        {
            LimitRule rule = rules.Rules[i];
            bool own = i == rules.OwnIndex && request.Registered is not null;
            ref Charge charge = ref _charges[_count++];
            charge = new Charge { Rule = rule, Bucket = own ? request.Registered : rule.Common };
            if (request.Registered?.Terms is { } terms)
            {
                charge.Bucket = terms.BucketOf(rule) ?? charge.Bucket;
            }
            if (charge.Bucket is not null && rule.Config.Concurrent == 0)
            {
                continue; // no key is needed
            }
            charge.Hash = rule.Config.By switch
            {
                LimitKey.Client => client = client != 0 ? client : _limiter!.HashOf(request.Client, request.Domain),
                LimitKey.Address => address = address != 0 ? address : _limiter!.HashOf(request.Address, 0),
                _ => 0,
            };
        }
    }

    private bool TryEnter(ref Charge charge)
    {
        int most = charge.Rule.Config.Concurrent;
        charge.Entered = most > 0 && _limiter!.Slots.TryEnter(charge.SlotKey, most);
        charge.Full = most > 0 && !charge.Entered;
        return !charge.Full;
    }

    /// <summary>Would it admit the request? Takes nothing.</summary>
    private bool Admits(ref Charge charge, long nowNs)
    {
        int most = charge.Rule.Config.Concurrent;
        charge.Full = most > 0 && _limiter!.Slots.Peek(charge.SlotKey) >= most;
        return Peek(ref charge, nowNs) && !charge.Full;
    }

    private bool TryTake(ref Charge charge, long nowNs)
    {
        if (!charge.Rule.CountedStatuses.IsEmpty)
        {
            return Peek(ref charge, nowNs);
        }
        if (charge.Bucket is { } bucket)
        {
            charge.Taken = bucket == _prepaid ? UsePrepaid(bucket, ref charge, nowNs)
                : bucket.TryTake(nowNs, _cost, out charge.Limit, out charge.Word);
        }
        else if (charge.Rule.Tracked is { } limit)
        {
            charge.Taken = _limiter!.Table.TryTake(charge.Hash, ref limit, nowNs, _cost, out charge.Word);
            charge.Limit = limit;
        }
        else
        {
            return true;
        }
        charge.Clock = charge.Limit!.Clock(nowNs);
        return charge.Taken;
    }

    private bool UsePrepaid(RegisteredClient bucket, ref Charge charge, long nowNs)
    {
        _prepaid = null;
        charge.Limit = bucket.Look(nowNs, out charge.Word);
        return true;
    }

    private bool Peek(ref Charge charge, long nowNs)
    {
        if (charge.Bucket is { } bucket)
        {
            charge.Limit = bucket.Look(nowNs, out charge.Word);
        }
        else if (charge.Rule.Tracked is { } limit)
        {
            charge.Word = _limiter!.Table.Peek(charge.Hash, ref limit, nowNs);
            charge.Limit = limit;
        }
        else
        {
            return true;
        }
        charge.Clock = charge.Limit.Clock(nowNs);
        return charge.Limit.SecondsUntil(charge.Word, charge.Clock, _cost) == 0;
    }

    private void GiveBack(ref Charge charge, long nowNs)
    {
        Leave(ref charge);
        if (charge.Taken)
        {
            charge.Taken = false;
            Add(ref charge, -_cost, nowNs);
        }
    }

    private void Leave(ref Charge charge)
    {
        if (charge.Entered)
        {
            charge.Entered = false;
            _limiter!.Slots.Leave(charge.SlotKey);
        }
    }

    private void Add(ref Charge charge, int cost, long nowNs)
    {
        if (charge.Bucket is { } bucket)
        {
            charge.Word = bucket.Charge(nowNs, cost);
        }
        else if (charge.Rule.Tracked is { } limit)
        {
            charge.Word = _limiter!.Table.Charge(charge.Hash, ref limit, nowNs, cost);
            charge.Limit = limit;
        }
        charge.Clock = charge.Limit!.Clock(nowNs);
    }
}
