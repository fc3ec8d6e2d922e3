using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>A client that is being read, member by member, from JSON or from a row of CSV. It has what the formats have
/// in common: the names of the members, the rules for their values, and which are required. It collects all faults.
/// Not thread-safe.</summary>
internal sealed class ClientDraft
{
    public const string ClientId = "client_id";
    public const string Capacity = "capacity";
    public const string RatePerSecond = "rate_per_sec";
    public const string CurrentTokens = "current_tokens";
    public const string Plan = "plan";
    public const string Access = "access";
    public const string Limits = "limits";

    /// <summary>All members, in the order of the columns of an export.</summary>
    public static readonly string[] Members =
        [ClientId, Capacity, RatePerSecond, CurrentTokens, Plan, Access, Limits];

    private readonly List<FieldFault> _faults = [];
    private readonly HashSet<string> _given = [];

    public string Id { get; private set; } = "";

    public ClientChange Change { get; private set; } = new();

    public IReadOnlyList<FieldFault> Faults => _faults;

    public void Fault(string member, string message) => _faults.Add(new(member, message));

    /// <summary>Call it before a member is set, with whatever value.</summary>
    /// <returns>False when the member is given for the second time, which is a fault.</returns>
    public bool TryBegin(string member)
    {
        if (_given.Add(member))
        {
            return true;
        }
        Fault(member, "is given twice");
        return false;
    }

    public bool IsGiven(string member) => _given.Contains(member);

    public void Require(string member)
    {
        if (!IsGiven(member))
        {
            Fault(member, "is required");
        }
    }

    public void RequireNumbers()
    {
        Require(Capacity);
        Require(RatePerSecond);
    }

    /// <summary>Sets the member with this name, which is a number.</summary>
    public void Set(string member, double number)
    {
        if (!double.IsFinite(number))
        {
            Fault(member, "is too large");
            return;
        }
        switch (member)
        {
            case Capacity when !double.IsInteger(number): // 100.0 and 1e2 are whole numbers too
                Fault(member, "must be a whole number");
                break;
            case Capacity: // the cast saturates numbers that are too large; the limiter rejects them
                Change = Change with { Capacity = (long)number };
                break;
            case RatePerSecond:
                Change = Change with { RatePerSecond = number };
                break;
            case CurrentTokens:
                Change = Change with { Tokens = number };
                break;
        }
    }

    public void SetId(string id)
    {
        Id = id;
        if (Proxy.Clients.ClientId.Fault(id) is { } fault)
        {
            Fault(ClientId, fault);
        }
    }

    public void SetPlan(string plan) => Change = Change with { Plan = plan };

    public void LeavePlan() => Change = Change with { LeavesPlan = true };

    /// <summary>Without <c>access</c> a client is limited.</summary>
    public void RemoveAccess() => Change = Change with { Access = ClientAccess.Limited };

    public void SetAccess(string access)
    {
        if (TermsText.TryAccess(access, out ClientAccess known))
        {
            Change = Change with { Access = known };
        }
        else
        {
            Fault(Access, $"must be one of limited, blocked, exempt, not {ConfigValue.Quote(access)}");
        }
    }

    public void SetLimits(Dictionary<string, NumbersChange?> limits) => Change = Change with { Limits = limits };

    public void RemoveLimits()
    {
        SetLimits([]);
        Change = Change with { RemovesLimits = true };
    }

    /// <summary>Checks the members together. A limited client without a plan needs numbers.</summary>
    /// <param name="partial">Members that are not given stay as they are.</param>
    public void End(bool partial)
    {
        bool limited = Change.Access is null or ClientAccess.Limited;
        if (!partial && !IsGiven(Plan) && (limited || Change.NamesNumbers))
        {
            RequireNumbers();
        }
        _faults.AddRange(Change.Faults());
    }
}
