using System.Buffers;
using System.Text;
using System.Text.Json;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>Converts between a client's terms and the columns of a store.</summary>
internal static class TermsText
{
    public static string WordOf(ClientAccess access) => access switch
    {
        ClientAccess.Blocked => "blocked",
        ClientAccess.Exempt => "exempt",
        _ => "limited",
    };

    public static bool TryAccess(string word, out ClientAccess access)
    {
        access = word switch
        {
            "blocked" => ClientAccess.Blocked,
            "exempt" => ClientAccess.Exempt,
            _ => ClientAccess.Limited,
        };
        return word == WordOf(access);
    }

    /// <summary>The terms in these columns; null if all columns have their defaults.</summary>
    public static ClientTerms? Of(string? plan, string access, bool hasNumbers, string? limits)
    {
        if (plan is null && limits is null && hasNumbers && access == "limited")
        {
            return null;
        }

        return new ClientTerms
        {
            Plan = plan,
            Access = TryAccess(access, out ClientAccess known) ? known : ClientAccess.Limited,
            HasNumbers = hasNumbers,
            Limits = limits is null ? [] : ReadLimits(limits),
        }.OrNull;
    }

    /// <summary>The numbers for named limits as JSON, <c>{"search":{"capacity":5,"rate_per_sec":1}}</c>; null if there
    /// are none.</summary>
    public static string? LimitsOf(ClientTerms? terms)
    {
        if (terms is null || terms.Limits.Count == 0)
        {
            return null;
        }

        var written = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(written))
        {
            json.WriteStartObject();
            foreach ((string? name, LimitConfig? numbers) in terms.Limits)
            {
                json.WriteStartObject(name);
                json.WriteNumber("capacity", numbers.Capacity);
                json.WriteNumber("rate_per_sec", numbers.RatePerSecond);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(written.WrittenSpan);
    }

    /// <summary>Reads JSON that an operator may have written with SQL. An entry without valid numbers gets zeros, which
    /// are later logged as invalid and ignored.</summary>
    private static ValueList<OwnNumbers> ReadLimits(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind != JsonValueKind.Object ? []
                : [.. document.RootElement.EnumerateObject()
                    .Select(static member => new OwnNumbers(member.Name,
                        new((long)Number(member.Value, "capacity"), Number(member.Value, "rate_per_sec"))))
                    .OrderBy(static own => own.Name, StringComparer.Ordinal)];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private static double Number(JsonElement numbers, string name) =>
        numbers.ValueKind == JsonValueKind.Object && numbers.TryGetProperty(name, out JsonElement value)
            && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : 0;
}
