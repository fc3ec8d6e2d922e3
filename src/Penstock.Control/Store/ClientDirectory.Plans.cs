using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <param name="Outcome">The result of the edit.</param>
/// <param name="Plan">The plan after the edit, if it was created or updated.</param>
/// <param name="Clients">How many clients have the plan.</param>
/// <param name="Faults">The faults of an invalid edit.</param>
/// <param name="Cause">Why the store failed.</param>
/// <param name="Change">What a successful edit changed, for the log.</param>
/// <param name="InFile">The edit was rejected because the plan is in the configuration file.</param>
internal readonly record struct PlanResult(EditOutcome Outcome, PlanNumbers Plan = default, long Clients = 0,
    IReadOnlyList<FieldFault>? Faults = null, string Cause = "", string Change = "", bool InFile = false);

/// <content>Plans, and a client's terms: plan, access, numbers for named limits.</content>
internal sealed partial class ClientDirectory
{
    private volatile IReadOnlyDictionary<string, LimitConfig> _filePlans = new Dictionary<string, LimitConfig>();

    /// <summary>True for a plan in the configuration file; only the file can change it.</summary>
    public bool IsInFile(string plan) => _filePlans.ContainsKey(plan);

    /// <summary>Puts the store's plans in force.</summary>
    /// <returns>The highest version of a plan.</returns>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public long LoadPlans()
    {
        long version = 0L;
        foreach (PlanNumbers plan in store.Plans())
        {
            PutInForce(plan);
            version = Math.Max(version, plan.Version);
        }
        return version;
    }

    /// <summary>Puts a plan in force, unless its numbers are invalid for a limiter.</summary>
    public void PutInForce(PlanNumbers plan)
    {
        if (Limiter.Fault(plan.Numbers.Capacity, plan.Numbers.RatePerSecond) is { } fault)
        {
            log.LogError(Events.ClientIgnored, "plan {Plan} in the store is ignored: {Fault}", plan.Name, fault);
        }
        else
        {
            limiter.Clients.SetPlan(plan);
        }
    }

    /// <summary>Writes the plans of the configuration into the store, from which all nodes read them, if they differ.
    /// A plan that was removed from the file stays in the store, so that no client loses its numbers.</summary>
    /// <exception cref="StoreException">The store failed; no plan was changed.</exception>
    public void Publish(IReadOnlyDictionary<string, LimitConfig> plans)
    {
        lock (_edits)
        {
            if (!TryWrite<List<PlanNumbers>>(
                () => plans.Count == 0 ? [] : store.Edit(edit => PutDiffering(edit, plans)),
                out List<PlanNumbers>? written))
            {
                throw new StoreException(Cause);
            }

            foreach (PlanNumbers plan in written)
            {
                PutInForce(plan);
                log.LogInformation(Events.PlanChanged, "plan {Plan} set from the configuration: {Numbers}",
                    plan.Name, Describe(plan.Numbers));
            }
            _filePlans = plans;
        }
    }

    /// <returns>False when the store failed.</returns>
    public bool TryPlans([NotNullWhen(true)] out List<(PlanNumbers Plan, long Clients)>? plans) => TryUse(() =>
    {
        Dictionary<string, long> clients = store.CountPlanned();
        return store.Plans().Select(plan => (plan, clients.GetValueOrDefault(plan.Name))).ToList();
    }, out plans);

    /// <summary>Creates or changes a plan. The new numbers apply from each client's next request.</summary>
    /// <param name="name">The plan's name.</param>
    /// <param name="change">Its capacity and rate.</param>
    /// <param name="partial">A number that the change does not set stays; the plan must exist.</param>
    public PlanResult PutPlan(string name, ClientChange change, bool partial) =>
        EditPlan(name, (edit, before) => Put(edit, name, change, partial, before));

    private static PlanResult Put(
        IClientTransaction edit, string name, ClientChange change, bool partial, PlanNumbers? before)
    {
        if (partial && before is null)
        {
            return new(EditOutcome.NotFound);
        }

        ClientChange full = change with
        {
            Capacity = change.Capacity ?? before?.Numbers.Capacity,
            RatePerSecond = change.RatePerSecond ?? before?.Numbers.RatePerSecond,
        };
        if (full.Faults().ToList() is { Count: > 0 } faults)
        {
            return new(EditOutcome.Invalid, Faults: faults);
        }

        PlanNumbers plan = edit.PutPlan(name, new(full.Capacity!.Value, full.RatePerSecond!.Value));
        return new(before is null ? EditOutcome.Created : EditOutcome.Updated, plan, edit.CountPlanned(name));
    }

    /// <summary>Deletes a plan unless clients have it.</summary>
    public PlanResult DeletePlan(string name) => EditPlan(name, (edit, before) =>
    {
        if (before is null)
        {
            return new(EditOutcome.NotFound);
        }

        long clients = edit.CountPlanned(name);
        if (clients > 0)
        {
            return new(EditOutcome.Exists, Clients: clients);
        }

        edit.DeletePlan(name);
        return new(EditOutcome.Deleted);
    });

    private PlanResult EditPlan(string name, Func<IClientTransaction, PlanNumbers?, PlanResult> change)
    {
        lock (_edits)
        {
            if (IsInFile(name))
            {
                return new(EditOutcome.Exists, InFile: true);
            }

            if (!TryWrite(() => store.Edit(edit => Write(edit, name, change)),
                out (PlanNumbers? Before, PlanResult Result) written))
            {
                return new(EditOutcome.StoreFailed, Cause: Cause);
            }

            (PlanNumbers? before, PlanResult result) = written;
            if (result.Outcome is EditOutcome.Created or EditOutcome.Updated)
            {
                PutInForce(result.Plan);
            }
            else if (result.Outcome == EditOutcome.Deleted)
            {
                limiter.Clients.RemovePlan(name);
            }
            else
            {
                return result;
            }

            NoteRecovery();
            return result with
            {
                Change = $"{Describe(before?.Numbers)} -> {Describe(result.Plan.Numbers)}, "
                    + Counted.Of(result.Clients, "client"),
            };
        }
    }

    private static (PlanNumbers? Before, PlanResult Result) Write(
        IClientTransaction edit, string name, Func<IClientTransaction, PlanNumbers?, PlanResult> change)
    {
        PlanNumbers? before = edit.Plans().Where(plan => plan.Name == name).Cast<PlanNumbers?>().FirstOrDefault();
        return (before, change(edit, before));
    }

    private static List<PlanNumbers> PutDiffering(
        IClientTransaction edit, IReadOnlyDictionary<string, LimitConfig> plans)
    {
        var stored = edit.Plans().ToDictionary(static plan => plan.Name, static plan => plan.Numbers);
        return [.. plans.Where(plan => stored.GetValueOrDefault(plan.Key) != plan.Value)
            .Select(plan => edit.PutPlan(plan.Key, plan.Value))];
    }

    /// <summary>The plans that the change may name, read from the store, because another node may just have created
    /// one.</summary>
    private static KnownPlans PlansFor(ClientChange change, IClientTransaction edit) =>
        new(change.Plan is null ? new Dictionary<string, PlanNumbers>()
            : edit.Plans().ToDictionary(static plan => plan.Name));

    /// <summary>The client without those numbers for named limits that are invalid for a limiter.</summary>
    private ClientState Sound(ClientState client)
    {
        if (client.Terms is not { Limits.Count: > 0 } terms)
        {
            return client;
        }

        var faults = terms.Limits.Select(static own =>
                (own.Name, Fault: Limiter.Fault(own.Numbers.Capacity, own.Numbers.RatePerSecond)))
            .Where(static own => own.Fault is not null).ToList();
        foreach ((string name, LimitFault? fault) in faults)
        {
            log.LogError(Events.ClientIgnored,
                "the numbers of client {Client} for limit {Limit} in the store are ignored: {Fault}",
                client.ClientId, name, fault);
        }
        if (faults.Count == 0)
        {
            return client;
        }

        IEnumerable<OwnNumbers> sound = terms.Limits.Where(own => faults.TrueForAll(fault => fault.Name != own.Name));
        return client with { Terms = (terms with { Limits = [.. sound] }).OrNull };
    }

    private static string Describe(LimitConfig? numbers) =>
        numbers is null ? "none" : $"capacity {numbers.Capacity}, {numbers.RatePerSecond}/s";

    private static string Describe(ClientState? client)
    {
        if (client is not { } c)
        {
            return "none";
        }

        var text = new StringBuilder(c.Terms is { HasNumbers: false } ? "no numbers"
            : $"{Describe(c.Limit)}, {Math.Floor(c.Tokens * 1000) / 1000} tokens");
        if (c.Terms is not { } terms)
        {
            return text.ToString();
        }

        if (terms.Plan is not null)
        {
            text.Append($", plan {terms.Plan}");
        }

        if (terms.Access != ClientAccess.Limited)
        {
            text.Append($", {TermsText.WordOf(terms.Access)}");
        }

        foreach ((string? name, LimitConfig? numbers) in terms.Limits)
        {
            text.Append($", {name} {numbers.Capacity} and {numbers.RatePerSecond}/s");
        }

        return text.ToString();
    }
}
