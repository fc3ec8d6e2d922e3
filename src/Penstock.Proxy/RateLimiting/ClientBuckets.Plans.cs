namespace Penstock.Proxy.RateLimiting;

/// <content>Plans, and the terms of clients.</content>
public sealed partial class ClientBuckets
{
    private readonly Dictionary<string, Plan> _plans = [];

    /// <summary>Terms without buckets, shared by all clients with equal terms: one per plan and access.</summary>
    private readonly Dictionary<ClientTerms, TermsInForce> _sharedTerms = [];

    /// <summary>Creates a plan or changes its numbers; does nothing when a newer edit is known. When it returns, the
    /// next request of every client of the plan uses the new numbers. Buckets keep their tokens, up to the new
    /// capacity. Thread-safe.</summary>
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

    /// <summary>Forgets a plan. Call it when no client has it. Thread-safe.</summary>
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

    /// <summary>Visits all clients, on the editing thread. Requests continue: a bucket changes to the new limit as when
    /// only its client is edited.</summary>
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

    /// <summary>The limit that clients of the plan share; created when it is not known. Null for a client without a
    /// plan.</summary>
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
