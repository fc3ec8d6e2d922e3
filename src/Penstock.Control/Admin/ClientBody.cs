using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Store;

namespace Penstock.Control.Admin;

/// <summary>The body of a client edit. Read member by member and not by a serializer, because that stops at the
/// first fault and a caller wants to see all of them at once.</summary>
internal sealed class ClientBody
{
    private readonly List<FieldFault> _faults = [];
    private readonly HashSet<string> _seen = [];

    private ClientBody()
    {
    }

    public string ClientId { get; private set; } = "";
    public ClientChange Change { get; private set; } = new();

    /// <summary>What to answer instead, when the body is not usable.</summary>
    public ApiError? Error { get; private set; }

    public IReadOnlyList<FieldFault> Faults => _faults;

    /// <param name="request">Its body is read to the end.</param>
    /// <param name="pathId">The client in the path, when the path names it.</param>
    /// <param name="partial">A merge-patch: members may be left out.</param>
    public static async Task<ClientBody> ReadAsync(HttpRequest request, string? pathId = null, bool partial = false)
    {
        var body = new ClientBody();
        if (await RequestObject.ReadAsync(request, root => body.Read(root, pathId, partial)) is { } error)
            body.Error = error;
        return body;
    }

    /// <summary>A new client, read from an object.</summary>
    /// <exception cref="InvalidOperationException">A text in it is not valid Unicode.</exception>
    public static ClientBody Of(JsonElement root)
    {
        var body = new ClientBody();
        body.Read(root, null, partial: false);
        return body;
    }

    private void Read(JsonElement root, string? pathId, bool partial)
    {
        if (pathId is not null && Proxy.Clients.ClientId.Fault(pathId) is { } pathFault) Fault("client_id", pathFault);
        foreach (var member in root.EnumerateObject())
        {
            if (!_seen.Add(member.Name))
                Fault(member.Name, "is given twice");
            else
                Read(member.Name, member.Value, pathId);
        }
        if (!partial)
        {
            if (pathId is null) Require("client_id");
            Require("capacity");
            Require("rate_per_sec");
        }
        _faults.AddRange(Change.Faults());
        ClientId = pathId ?? ClientId;
        if (_faults.Count > 0) Error = Invalid(_faults);
    }

    public static ApiError Invalid(IReadOnlyList<FieldFault> faults) =>
        new(400, string.Join("; ", faults.Select(fault => $"{fault.Field} {fault.Message}")), faults);

    private void Read(string name, JsonElement value, string? pathId)
    {
        switch (name)
        {
            case "client_id" when value.ValueKind != JsonValueKind.String:
                Fault(name, $"must be a text, not {RequestObject.Kind(value)}");
                break;
            case "client_id":
                ClientId = value.GetString()!;
                if (pathId is null && Proxy.Clients.ClientId.Fault(ClientId) is { } fault) Fault(name, fault);
                else if (pathId is not null && ClientId != pathId) Fault(name, "must equal the one in the path");
                break;
            case "capacity" when Number(name, value) is { } capacity:
                // 100.0 and 1e2 are whole numbers too; too large ones saturate and are refused as such
                if (double.IsInteger(capacity)) Change = Change with { Capacity = (long)capacity };
                else Fault(name, "must be a whole number");
                break;
            case "rate_per_sec" when Number(name, value) is { } rate:
                Change = Change with { RatePerSecond = rate };
                break;
            case "current_tokens" when Number(name, value) is { } tokens:
                Change = Change with { Tokens = tokens };
                break;
            case "capacity" or "rate_per_sec" or "current_tokens":
            case "full_in_seconds" or "warnings": // what was read may be sent back
                break;
            default:
                Fault(name, "is not known; known are client_id, capacity, rate_per_sec, current_tokens");
                break;
        }
    }

    private double? Number(string name, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
        {
            if (double.IsFinite(value.GetDouble())) return value.GetDouble();
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
        if (!_seen.Contains(name)) Fault(name, "is required");
    }

    private void Fault(string field, string message) => _faults.Add(new(field, message));
}
