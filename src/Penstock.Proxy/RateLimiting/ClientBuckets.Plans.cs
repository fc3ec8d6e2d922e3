namespace Penstock.Proxy.RateLimiting;

/// <content>Plans, and what is set for a client besides its limit.</content>
public sealed partial class ClientBuckets
{
    private readonly Dictionary<string, Plan> _plans = [];

    /// <summary>Terms without buckets, which clients that have the same can share: one for each plan and access.
    /// </summary>
    private readonly Dictionary<ClientTerms, TermsInForce> _sharedTerms = [];

    /// <summary>Creates a plan or changes its numbers, unless a newer edit is known. When it returns, the next request
    /// of every client of the plan meets the new numbers. Buckets keep their tokens, clamped.</summary>
    public void SetPlan(in PlanNumbers plan)
    {
        lock (_editing)
        {
            if (!_plans.TryGetValue(plan.Name, out Plan? known))
            {
                _plans[plan.Name] = Compile(plan);
            }
            else if (plan.Version >= known.Version)
            {
                known.Version = plan.Version;
                if (!known.Limit.HasNumbersOf(plan.Numbers))
                {
                    known.Limit = Compile(plan).Limit;
                    ChangeClientsOf(known);
                }
            }
        }
    }

    /// <summary>Forgets a plan that no client has.</summary>
    public void RemovePlan(string name)
    {
        lock (_editing)
        {
            _plans.Remove(name);
            foreach (ClientTerms terms in _sharedTerms.Keys.Where(t => t.Plan == name).ToList())
            {
                _sharedTerms.Remove(terms);
            }
        }
    }

    private static Plan Compile(in PlanNumbers plan) =>
        new(plan.Name, new Limit(RegisteredClient.LimitName, plan.Numbers), plan.Version);

    /// <summary>Visits all clients, on the thread of who edits. Requests go on meanwhile: a bucket goes over to the new
    /// limit as it does when only its client is edited.</summary>
    private void ChangeClientsOf(Plan plan)
    {
        long now = _clock.NowNs;
        foreach ((_, RegisteredClient client) in _clients)
        {
            if (string.Equals(client.Terms?.Terms.Plan, plan.Name, StringComparison.Ordinal))
            {
                client.Bucket = client.Bucket.WithLimit(plan.Limit, now);
            }
        }
    }

    /// <summary>The limit that clients of the plan share, which becomes known if it is not; null without a plan.
    /// </summary>
    private Limit? PlanLimit(in ClientState client)
    {
        if (client.Terms?.Plan is not { } name)
        {
            return null;
        }
        SetPlan(new PlanNumbers(name, client.Limit, client.PlanVersion));
        return _plans[name].Limit;
    }

    private TermsInForce? TermsOf(ClientTerms? terms, TermsInForce? before, long nowNs)
    {
        if (terms is null || terms.Limits.Count > 0)
        {
            return terms is null ? null : new TermsInForce(terms, before, nowNs);
        }
        if (!_sharedTerms.TryGetValue(terms, out TermsInForce? shared))
        {
            _sharedTerms[terms] = shared = new TermsInForce(terms, null, nowNs);
        }
        return shared;
    }
}
