using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Config;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>The body of an edit of a client or a plan. It is read member by member, because a serializer stops at the
/// first fault; the answer lists all faults at once.</summary>
internal sealed class ClientBody
{
    private readonly List<FieldFault> _faults = [];
    private readonly HashSet<string> _seen = [];
    private string _plan = "";

    private ClientBody()
    {
    }

    public string ClientId { get; private set; } = "";
    public ClientChange Change { get; private set; } = new();

    /// <summary>The error to answer if the body has a fault; otherwise null.</summary>
    public ApiError? Error { get; private set; }

    public IReadOnlyList<FieldFault> Faults => _faults;

    /// <param name="request">Its body is read to the end.</param>
    /// <param name="pathId">The client's id in the path; null if the path has none.</param>
    /// <param name="partial">A merge-patch: members may be left out.</param>
    public static async Task<ClientBody> ReadAsync(HttpRequest request, string? pathId = null, bool partial = false)
    {
        var body = new ClientBody();
        if (await RequestObject.ReadAsync(request, root => body.Read(root, pathId, partial)) is { } error)
        {
            body.Error = error;
        }

        return body;
    }

    /// <summary>Reads a new client from an object.</summary>
    /// <exception cref="InvalidOperationException">A text in it is not valid Unicode.</exception>
    public static ClientBody Of(JsonElement root)
    {
        var body = new ClientBody();
        body.Read(root, null, partial: false);
        return body;
    }

    /// <summary>Reads a plan: a capacity and a rate. Members that a <c>GET</c> returns besides are allowed.</summary>
    public static async Task<ClientBody> ReadPlanAsync(HttpRequest request, string name, bool partial)
    {
        var body = new ClientBody { _plan = name };
        if (await RequestObject.ReadAsync(request, root => body.ReadPlan(root, partial)) is { } error)
        {
            body.Error = error;
        }

        return body;
    }

    private void Read(JsonElement root, string? pathId, bool partial)
    {
        if (pathId is not null && Proxy.Clients.ClientId.Fault(pathId) is { } pathFault)
        {
            Fault("client_id", pathFault);
        }

        foreach (JsonProperty member in root.EnumerateObject())
        {
            if (!_seen.Add(member.Name))
            {
                Fault(member.Name, "is given twice");
            }
            else
            {
                Read(member.Name, member.Value, pathId);
            }
        }
        if (!partial && pathId is null)
        {
            Require("client_id");
        }

        if (!partial && NeedsNumbers)
        {
            Require("capacity");
            Require("rate_per_sec");
        }
        _faults.AddRange(Change.Faults());
        ClientId = pathId ?? ClientId;
        if (_faults.Count > 0)
        {
            Error = Invalid(_faults);
        }
    }

    private void ReadPlan(JsonElement root, bool partial)
    {
        if (!ConfigValue.TryName(_plan, out _, out string? fault))
        {
            Fault("name", fault);
        }

        foreach (JsonProperty member in root.EnumerateObject())
        {
            switch (member.Name)
            {
                case var name when !_seen.Add(name):
                    Fault(name, "is given twice");
                    break;
                case "capacity":
                    Change = Change with { Capacity = Whole("capacity", member.Value) };
                    break;
                case "rate_per_sec":
                    Change = Change with { RatePerSecond = Number("rate_per_sec", member.Value) };
                    break;
                case "name" when member.Value.ValueKind != JsonValueKind.String || member.Value.GetString() != _plan:
                    Fault("name", "must equal the name in the path");
                    break;
                case "name" or "clients" or "source": // a caller may send back what it has read
                    break;
                default:
                    Fault(member.Name, "is not known; known are capacity, rate_per_sec");
                    break;
            }
        }
        if (!partial)
        {
            Require("capacity");
            Require("rate_per_sec");
        }
        _faults.AddRange(Change.Faults());
        if (_faults.Count > 0)
        {
            Error = Invalid(_faults);
        }
    }

    public static ApiError Invalid(IReadOnlyList<FieldFault> faults) =>
        new(400, string.Join("; ", faults.Select(fault => $"{fault.Field} {fault.Message}")), faults);

    /// <summary>True if capacity and rate are required: the client is limited and the body names no plan.</summary>
    private bool NeedsNumbers => !_seen.Contains("plan")
        && (Change.Access is null or ClientAccess.Limited || Change.NamesNumbers);

    private void Read(string name, JsonElement value, string? pathId)
    {
        switch (name)
        {
            case "client_id" when value.ValueKind != JsonValueKind.String:
                Fault(name, $"must be a text, not {RequestObject.Kind(value)}");
                break;
            case "client_id":
                ClientId = value.GetString()!;
                if (pathId is null && Proxy.Clients.ClientId.Fault(ClientId) is { } fault)
                {
                    Fault(name, fault);
                }
                else if (pathId is not null && ClientId != pathId)
                {
                    Fault(name, "must equal the id in the path");
                }

                break;
            case "capacity" when Whole(name, value) is { } capacity:
                Change = Change with { Capacity = capacity };
                break;
            case "rate_per_sec" when Number(name, value) is { } rate:
                Change = Change with { RatePerSecond = rate };
                break;
            case "current_tokens" when Number(name, value) is { } tokens:
                Change = Change with { Tokens = tokens };
                break;
            case "plan" when value.ValueKind == JsonValueKind.Null:
                Change = Change with { LeavesPlan = true };
                break;
            case "plan" when value.ValueKind == JsonValueKind.String:
                Change = Change with { Plan = value.GetString() };
                break;
            case "plan":
                Fault(name, $"must be the name of a plan, not {RequestObject.Kind(value)}");
                break;
            case "access" when value.ValueKind == JsonValueKind.String
                && TermsText.TryAccess(value.GetString()!, out ClientAccess access):
                Change = Change with { Access = access };
                break;
            case "access":
                Fault(name, "must be one of limited, blocked, exempt");
                break;
            case "limits":
                Change = Change with { Limits = Limits(value) };
                break;
            case "capacity" or "rate_per_sec" or "current_tokens":
            case "full_in_seconds" or "warnings": // a caller may send back what it has read
                break;
            default:
                Fault(name, "is not known; known are client_id, capacity, rate_per_sec, current_tokens, plan, access, "
                    + "limits");
                break;
        }
    }

    private Dictionary<string, LimitConfig?>? Limits(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null)
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            Fault("limits", $"must be an object with limits by name, not {RequestObject.Kind(value)}");
            return null;
        }
        var limits = new Dictionary<string, LimitConfig?>();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            string path = $"limits.{member.Name}";
            if (!limits.TryAdd(member.Name, null))
            {
                Fault(path, "is given twice");
            }
            else if (member.Value.ValueKind == JsonValueKind.Object)
            {
                limits[member.Name] = Numbers(path, member.Value);
            }
            else if (member.Value.ValueKind != JsonValueKind.Null)
            {
                Fault(path, "must be an object with capacity and rate_per_sec, not "
                    + RequestObject.Kind(member.Value));
            }
        }
        return limits;
    }

    private LimitConfig? Numbers(string path, JsonElement value)
    {
        long? capacity = null;
        double? rate = null;
        var seen = new HashSet<string>();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            string name = $"{path}.{member.Name}";
            if (!seen.Add(member.Name))
            {
                Fault(name, "is given twice");
            }
            else if (member.Name == "capacity")
            {
                capacity = Whole(name, member.Value);
            }
            else if (member.Name == "rate_per_sec")
            {
                rate = Number(name, member.Value);
            }
            else
            {
                Fault(name, "is not known; known are capacity, rate_per_sec");
            }
        }
        if (!seen.Contains("capacity"))
        {
            Fault($"{path}.capacity", "is required");
        }

        if (!seen.Contains("rate_per_sec"))
        {
            Fault($"{path}.rate_per_sec", "is required");
        }

        return capacity is { } tokens && rate is { } perSecond ? new(tokens, perSecond) : null;
    }

    private long? Whole(string name, JsonElement value)
    {
        // 100.0 and 1e2 are whole numbers too. The cast saturates numbers that are too large; the limiter rejects them.
        if (Number(name, value) is not { } number)
        {
            return null;
        }

        if (double.IsInteger(number))
        {
            return (long)number;
        }

        Fault(name, "must be a whole number");
        return null;
    }

    private double? Number(string name, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
        {
            if (double.IsFinite(value.GetDouble()))
            {
                return value.GetDouble();
            }

            Fault(name, "is too large");
        }
        else
        {
            Fault(name, $"must be a number, not {RequestObject.Kind(value)}");
        }
        return null;
    }

    private void Require(string name)
    {
        if (!_seen.Contains(name))
        {
            Fault(name, "is required");
        }
    }

    private void Fault(string field, string message) => _faults.Add(new(field, message));
}
