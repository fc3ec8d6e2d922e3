using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <param name="Outcome">What came of the edit.</param>
/// <param name="Plan">Afterwards, when created or updated.</param>
/// <param name="Clients">How many have it.</param>
/// <param name="Faults">When invalid.</param>
/// <param name="Cause">When the store failed.</param>
/// <param name="InFile">It was refused because the configuration has the plan.</param>
internal readonly record struct PlanResult(EditOutcome Outcome, PlanNumbers Plan = default, long Clients = 0,
    IReadOnlyList<FieldFault>? Faults = null, string Cause = "", bool InFile = false);

/// <summary>Plans, and what is set for clients besides a limit.</summary>
internal sealed partial class ClientDirectory
{
    private static readonly EventId PlanChanged = new(6, "plan_changed");

    private volatile IReadOnlyDictionary<string, LimitConfig> _filePlans = new Dictionary<string, LimitConfig>();

    /// <summary>The plan is in the configuration: only that can change it.</summary>
    public bool IsInFile(string plan) => _filePlans.ContainsKey(plan);

    /// <summary>Puts the store's plans in force.</summary>
    /// <returns>The version of the newest.</returns>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public long LoadPlans()
    {
        var version = 0L;
        foreach (var plan in store.Plans())
        {
            TakeOver(plan);
            version = Math.Max(version, plan.Version);
        }
        return version;
    }

    /// <summary>Puts a plan in force, unless no limiter could hold to it.</summary>
    public void TakeOver(PlanNumbers plan)
    {
        if (Limiter.Fault(plan.Numbers.Capacity, plan.Numbers.RatePerSecond) is { } fault)
            log.LogError(ClientIgnored, "plan {Plan} in the store is ignored: {Fault}", plan.Name, fault);
        else
            limiter.SetPlan(plan);
    }

    /// <summary>Writes the configuration's plans into the store, where they differ: there all nodes look. A plan that
    /// left the file stays in the store, so that no client ever loses its numbers.</summary>
    /// <exception cref="StoreException">The store failed: plans are as they were.</exception>
    public void Publish(IReadOnlyDictionary<string, LimitConfig> plans)
    {
        lock (_edits)
        {
            List<PlanNumbers> written = [];
            if (plans.Count > 0)
            {
                string? fault = null;
                if (!TryStore(() => written = store.Exclusively(() => Differing(plans))))
                    fault = _storeFault;
                if (fault is not null) throw new StoreException(fault);
            }
            foreach (var plan in written)
            {
                TakeOver(plan);
                log.LogInformation(PlanChanged, "plan {Plan} is as the configuration has it: {Numbers}",
                    plan.Name, Words(plan.Numbers));
            }
            _filePlans = plans;
        }
    }

    /// <returns>False when the store failed.</returns>
    public bool TryPlans(out List<(PlanNumbers Plan, long Clients)> plans)
    {
        List<(PlanNumbers, long)> all = [];
        var done = TryStore(() =>
        {
            var clients = store.CountPlanned();
            all = [.. store.Plans().Select(plan => (plan, clients.GetValueOrDefault(plan.Name)))];
        });
        plans = all;
        return done;
    }

    /// <summary>Creates a plan or changes one; the next request of each of its clients meets the new numbers.</summary>
    /// <param name="name">Of the plan.</param>
    /// <param name="change">Its capacity and rate.</param>
    /// <param name="partial">A number that is not named stays; the plan must be there.</param>
    /// <param name="who">For the log.</param>
    public PlanResult PutPlan(string name, ClientChange change, bool partial, string who) =>
        EditPlan(name, who, before => Put(name, change, partial, before));

    private PlanResult Put(string name, ClientChange change, bool partial, PlanNumbers? before)
    {
        if (partial && before is null) return new(EditOutcome.NotFound);
        var full = change with
        {
            Capacity = change.Capacity ?? before?.Numbers.Capacity,
            RatePerSecond = change.RatePerSecond ?? before?.Numbers.RatePerSecond,
        };
        if (full.Faults().ToList() is { Count: > 0 } faults) return new(EditOutcome.Invalid, Faults: faults);
        var plan = store.PutPlan(name, new(full.Capacity!.Value, full.RatePerSecond!.Value));
        return new(before is null ? EditOutcome.Created : EditOutcome.Updated, plan,
            store.CountPlanned(name).GetValueOrDefault(name));
    }

    /// <summary>Deletes a plan unless clients have it.</summary>
    public PlanResult DeletePlan(string name, string who) => EditPlan(name, who, before =>
    {
        if (before is null) return new(EditOutcome.NotFound);
        var clients = store.CountPlanned(name).GetValueOrDefault(name);
        if (clients > 0) return new(EditOutcome.Exists, Clients: clients);
        store.DeletePlan(name);
        return new(EditOutcome.Deleted);
    });

    private PlanResult EditPlan(string name, string who, Func<PlanNumbers?, PlanResult> edit)
    {
        lock (_edits)
        {
            if (IsInFile(name)) return new(EditOutcome.Exists, InFile: true);
            PlanNumbers? before = null;
            PlanResult result = default;
            if (!TryStore(() => result = store.Exclusively(() =>
                {
                    before = store.Plans().Where(plan => plan.Name == name).Cast<PlanNumbers?>().FirstOrDefault();
                    return edit(before);
                })))
            {
                return new(EditOutcome.StoreFailed, Cause: _storeFault!);
            }
            if (result.Outcome is EditOutcome.Created or EditOutcome.Updated)
                TakeOver(result.Plan);
            else if (result.Outcome == EditOutcome.Deleted)
                limiter.RemovePlan(name);
            else
                return result;
            Works();
            log.LogInformation(PlanChanged, "plan {Plan} {Change} by {Who}: {Before} -> {After}, {Clients} clients",
                name, result.Outcome.ToString().ToLowerInvariant(), who, Words(before?.Numbers),
                Words(result.Plan.Numbers), result.Clients);
            return result;
        }
    }

    private List<PlanNumbers> Differing(IReadOnlyDictionary<string, LimitConfig> plans)
    {
        var stored = store.Plans().ToDictionary(static plan => plan.Name, static plan => plan.Numbers);
        return [.. plans.Where(plan => stored.GetValueOrDefault(plan.Key) != plan.Value)
            .Select(plan => store.PutPlan(plan.Key, plan.Value))];
    }

    /// <summary>Those that the change may mean; asked of the store, where another node may just have made one.
    /// </summary>
    private KnownPlans PlanOf(ClientChange change) => new(change.Plan is null ? new Dictionary<string, PlanNumbers>()
        : store.Plans().ToDictionary(static plan => plan.Name));

    /// <summary>The terms of a client without numbers by limit that no limiter could hold to.</summary>
    private ClientTerms? Sound(StoredClient client)
    {
        if (client.Terms is not { Limits.Count: > 0 } terms) return client.Terms;
        var faults = terms.Limits.Select(static own =>
                (own.Name, Fault: Limiter.Fault(own.Numbers.Capacity, own.Numbers.RatePerSecond)))
            .Where(static own => own.Fault is not null).ToList();
        foreach (var (name, fault) in faults)
        {
            log.LogError(ClientIgnored,
                "client {Client} in the store: its numbers for limit {Limit} are ignored: {Fault}",
                client.ClientId, name, fault);
        }
        return faults.Count == 0 ? terms : (terms with
        {
            Limits = [.. terms.Limits.Where(own => faults.TrueForAll(fault => fault.Name != own.Name))],
        }).OrNull;
    }

    private static string Words(LimitConfig? numbers) =>
        numbers is null ? "none" : $"capacity {numbers.Capacity}, {numbers.RatePerSecond}/s";

    private static string Words(ClientTokens? client)
    {
        if (client is not { } c) return "none";
        var words = new StringBuilder(c.Terms is { HasNumbers: false } ? "no numbers"
            : $"{Words(c.Limit)}, {Math.Floor(c.Tokens * 1000) / 1000} tokens");
        if (c.Terms is not { } terms) return words.ToString();
        if (terms.Plan is not null) words.Append($", plan {terms.Plan}");
        if (terms.Access != ClientAccess.Limited) words.Append($", {TermsText.WordOf(terms.Access)}");
        foreach (var (name, numbers) in terms.Limits)
            words.Append($", {name} {numbers.Capacity} and {numbers.RatePerSecond}/s");
        return words.ToString();
    }
}
