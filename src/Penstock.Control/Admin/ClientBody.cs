using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Config;
using Penstock.Control.Store;

namespace Penstock.Control.Admin;

/// <summary>The body of an edit of a client or a plan. It is read member by member, because a serializer stops at the
/// first fault; the answer lists all faults at once.</summary>
internal sealed class ClientBody
{
    private const string KnownNumbers =
        $"is not known; known are {ClientDraft.Capacity}, {ClientDraft.RatePerSecond}";

    private readonly ClientDraft _draft = new();

    private ClientBody()
    {
    }

    public string ClientId { get; private set; } = "";
    public ClientChange Change => _draft.Change;

    /// <summary>The error to answer if the body has a fault; otherwise null.</summary>
    public ApiError? Error { get; private set; }

    public IReadOnlyList<FieldFault> Faults => _draft.Faults;

    /// <param name="request">Its body is read to the end.</param>
    /// <param name="pathId">The client's id in the path; null if the path has none.</param>
    /// <param name="partial">A merge-patch: members may be left out.</param>
    public static Task<ClientBody> ReadAsync(HttpRequest request, string? pathId = null, bool partial = false) =>
        ReadAsync(request, (body, root) => body.Read(root, pathId, partial));

    /// <summary>Reads the body of a call by another name, whose members may have other names too.</summary>
    /// <param name="id">The client's id if the body has none; null: the body must have one.</param>
    public static Task<ClientBody> ReadAliasAsync(HttpRequest request, string? id, bool partial = false) =>
        ReadAsync(request, (body, root) => body.ReadAlias(root, id, partial));

    /// <summary>Reads a plan: a capacity and a rate. Members that a <c>GET</c> returns besides are allowed.</summary>
    public static Task<ClientBody> ReadPlanAsync(HttpRequest request, string name, bool partial) =>
        ReadAsync(request, (body, root) => body.ReadPlan(root, name, partial));

    /// <summary>Reads a new client from an object.</summary>
    /// <exception cref="InvalidOperationException">A text in it is not valid Unicode.</exception>
    public static ClientBody Of(JsonElement root)
    {
        var body = new ClientBody();
        body.Read(root, null, partial: false);
        return body;
    }

    public static ApiError Invalid(IReadOnlyList<FieldFault> faults) =>
        new(400, string.Join("; ", faults.Select(fault => $"{fault.Field} {fault.Message}")), faults);

    private static async Task<ClientBody> ReadAsync(HttpRequest request, Action<ClientBody, JsonElement> read)
    {
        var body = new ClientBody();
        body.Error = await RequestObject.ReadAsync(request, root => read(body, root))
            ?? (body.Faults.Count > 0 ? Invalid(body.Faults) : null);
        return body;
    }

    private void Read(JsonElement root, string? pathId, bool partial)
    {
        if (pathId is not null)
        {
            _draft.SetId(pathId);
        }
        foreach (JsonProperty member in root.EnumerateObject())
        {
            if (_draft.TryBegin(member.Name))
            {
                Read(member.Name, member.Value, pathId, partial);
            }
        }
        if (!partial && pathId is null)
        {
            _draft.Require(ClientDraft.ClientId);
        }
        _draft.End(partial);
        ClientId = _draft.Id;
    }

    private void ReadAlias(JsonElement root, string? id, bool partial)
    {
        foreach (JsonProperty member in root.EnumerateObject())
        {
            string name = AliasEndpoints.MemberOf(member.Name);
            if (_draft.TryBegin(name))
            {
                Read(name, member.Value, null, partial);
            }
        }
        if (!_draft.IsGiven(ClientDraft.ClientId) && id is not null)
        {
            _draft.TryBegin(ClientDraft.ClientId);
            _draft.SetId(id);
        }
        _draft.Require(ClientDraft.ClientId);
        _draft.End(partial);
        ClientId = _draft.Id;
    }

    private void Read(string name, JsonElement value, string? pathId, bool partial)
    {
        switch (name)
        {
            case ClientDraft.ClientId when value.ValueKind != JsonValueKind.String:
                _draft.Fault(name, $"must be a text, not {RequestObject.Kind(value)}");
                break;
            case ClientDraft.ClientId when pathId is null:
                _draft.SetId(value.GetString()!);
                break;
            case ClientDraft.ClientId when value.GetString() != pathId:
                _draft.Fault(name, "must equal the id in the path");
                break;
            case ClientDraft.Capacity or ClientDraft.RatePerSecond or ClientDraft.CurrentTokens:
                SetNumber(_draft, name, value);
                break;
            case ClientDraft.Plan when value.ValueKind == JsonValueKind.Null:
                _draft.LeavePlan();
                break;
            case ClientDraft.Plan when value.ValueKind == JsonValueKind.String:
                _draft.SetPlan(value.GetString()!);
                break;
            case ClientDraft.Plan:
                _draft.Fault(name, $"must be the name of a plan, not {RequestObject.Kind(value)}");
                break;
            case ClientDraft.Access when value.ValueKind == JsonValueKind.String:
                _draft.SetAccess(value.GetString()!);
                break;
            case ClientDraft.Access when partial && value.ValueKind == JsonValueKind.Null:
                _draft.RemoveAccess();
                break;
            case ClientDraft.Access:
                _draft.Fault(name, $"must be one of limited, blocked, exempt, not {RequestObject.Kind(value)}");
                break;
            case ClientDraft.Limits:
                SetLimits(value, partial);
                break;
            case ClientDraft.ClientId or "full_in_seconds" or "warnings": // a caller may send back what it has read
                break;
            default:
                _draft.Fault(name, $"is not known; known are {string.Join(", ", ClientDraft.Members)}");
                break;
        }
    }

    private void ReadPlan(JsonElement root, string plan, bool partial)
    {
        if (!ConfigValue.TryName(plan, out _, out string? fault))
        {
            _draft.Fault("name", fault);
        }
        foreach (JsonProperty member in root.EnumerateObject())
        {
            switch (member.Name)
            {
                case var name when !_draft.TryBegin(name):
                    break;
                case ClientDraft.Capacity or ClientDraft.RatePerSecond:
                    SetNumber(_draft, member.Name, member.Value);
                    break;
                case "name" when member.Value.ValueKind != JsonValueKind.String || member.Value.GetString() != plan:
                    _draft.Fault("name", "must equal the name in the path");
                    break;
                case "name" or "clients" or "source": // a caller may send back what it has read
                    break;
                default:
                    _draft.Fault(member.Name, KnownNumbers);
                    break;
            }
        }
        if (!partial)
        {
            _draft.RequireNumbers();
        }
        _draft.End(partial: true);
    }

    private void SetLimits(JsonElement value, bool partial)
    {
        if (value.ValueKind == JsonValueKind.Null)
        {
            _draft.RemoveLimits();
            return;
        }
        if (value.ValueKind != JsonValueKind.Object)
        {
            _draft.Fault(ClientDraft.Limits,
                $"must be an object with limits by name, not {RequestObject.Kind(value)}");
            return;
        }
        var limits = new Dictionary<string, NumbersChange?>();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            string path = $"{ClientDraft.Limits}.{member.Name}";
            if (!limits.TryAdd(member.Name, null))
            {
                _draft.Fault(path, "is given twice");
            }
            else if (member.Value.ValueKind == JsonValueKind.Object)
            {
                limits[member.Name] = Numbers(path, member.Value, partial);
            }
            else if (member.Value.ValueKind != JsonValueKind.Null)
            {
                _draft.Fault(path, "must be an object with capacity and rate_per_sec, not "
                    + RequestObject.Kind(member.Value));
            }
        }
        _draft.SetLimits(limits);
    }

    private NumbersChange? Numbers(string path, JsonElement value, bool partial)
    {
        var numbers = new ClientDraft();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            if (!numbers.TryBegin(member.Name))
            {
                continue;
            }
            if (member.Name is ClientDraft.Capacity or ClientDraft.RatePerSecond)
            {
                SetNumber(numbers, member.Name, member.Value);
            }
            else
            {
                numbers.Fault(member.Name, KnownNumbers);
            }
        }
        if (!partial)
        {
            numbers.RequireNumbers();
        }
        foreach (FieldFault fault in numbers.Faults)
        {
            _draft.Fault($"{path}.{fault.Field}", fault.Message);
        }
        return new(numbers.Change.Capacity, numbers.Change.RatePerSecond);
    }

    private static void SetNumber(ClientDraft draft, string name, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
        {
            draft.Set(name, value.GetDouble());
        }
        else
        {
            draft.Fault(name, $"must be a number, not {RequestObject.Kind(value)}");
        }
    }
}
