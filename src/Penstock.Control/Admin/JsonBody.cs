using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Store;
using Penstock.Proxy;

namespace Penstock.Control.Admin;

/// <summary>A JSON object that is read member by member, so that the answer lists all faults at once.</summary>
internal sealed class JsonBody
{
    private readonly List<FieldFault> _faults = [];
    private JsonElement _root;
    private ApiError? _error;

    private JsonBody()
    {
    }

    public static async Task<JsonBody> ReadAsync(HttpRequest request)
    {
        var body = new JsonBody();
        body._error = await RequestObject.ReadAsync(request, root =>
        {
            RejectBadUnicode(root);
            body._root = root.Clone();
        });
        return body;
    }

    /// <summary>The error to answer if the body has a fault; otherwise null.</summary>
    /// <param name="known">The names of the allowed members.</param>
    public ApiError? Finish(params string[] known)
    {
        if (_error is not null)
        {
            return _error;
        }

        var seen = new HashSet<string>();
        foreach (JsonProperty member in _root.EnumerateObject())
        {
            if (!seen.Add(member.Name))
            {
                Fault(member.Name, "is given twice");
            }
            else if (!known.Contains(member.Name))
            {
                Fault(member.Name, $"is not known; known are {string.Join(", ", known)}");
            }
        }
        return _faults.Count == 0 ? null : ClientBody.Invalid(_faults);
    }

    public bool IsNull(string name) => Get(name, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    public string? Text(string name)
    {
        if (!Get(name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            return Fault(name, "must be a text");
        }

        string text = value.GetString()!;
        return IsPrintable(text) ? text : Fault(name, "must be printable characters");
    }

    public T? Word<T>(string name) where T : struct, Enum
    {
        if (!Get(name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.String
            && Words<T>.All.TryGetValue(value.GetString()!, out T word))
        {
            return word;
        }

        Fault(name, "must be one of " + string.Join(", ", Words<T>.All.Keys));
        return null;
    }

    /// <summary>The words of an enum. The framework's parser would also accept <c>1</c> and <c>ready,drain</c>.
    /// </summary>
    private static class Words<T> where T : struct, Enum
    {
        public static readonly Dictionary<string, T> All =
            Enum.GetValues<T>().ToDictionary(static word => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{word}"));
    }

    public int? Whole(string name, int from, int to)
    {
        if (!Get(name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= from
            && number <= to)
        {
            return number;
        }

        Fault(name, $"must be a whole number from {from} to {to}");
        return null;
    }

    public IPAddress Address(string name)
    {
        if (Text(name) is not { } text)
        {
            return IPAddress.Loopback;
        }

        if (AddressText.TryParse(text, out IPAddress? address))
        {
            return address;
        }

        Fault(name, "must be an IP address");
        return IPAddress.Loopback;
    }

    /// <summary>An object of texts, or of lists of texts.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Texts(string name)
    {
        var texts = new List<KeyValuePair<string, string>>();
        if (!Get(name, out JsonElement value))
        {
            return texts;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            Fault(name, "must be an object of texts");
            return texts;
        }
        var seen = new HashSet<string>();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            if (!seen.Add(member.Name))
            {
                Fault($"{name}.{member.Name}", "is given twice; write several texts as a list");
            }

            JsonElement[] items = member.Value.ValueKind == JsonValueKind.Array
                ? member.Value.EnumerateArray().ToArray() : [member.Value];
            foreach (JsonElement item in items)
            {
                if (item.ValueKind == JsonValueKind.String && IsPrintable(item.GetString()!))
                {
                    texts.Add(new(member.Name, item.GetString()!));
                }
                else
                {
                    Fault($"{name}.{member.Name}", "must be a text of printable characters");
                }
            }
        }
        return texts;
    }

    private static bool IsPrintable(string text) => !text.Any(char.IsControl);

    /// <summary>Throws for a text that is not valid Unicode. Without this check, reading such a member later would
    /// throw where no exception is expected.</summary>
    /// <exception cref="InvalidOperationException">A text is not valid Unicode.</exception>
    private static void RejectBadUnicode(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            _ = value.GetString();
        }
        else if (value.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement item in value.EnumerateArray())
            {
                RejectBadUnicode(item);
            }
        }
        else if (value.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty member in value.EnumerateObject())
            {
                _ = member.Name;
                RejectBadUnicode(member.Value);
            }
        }
    }

    private bool Get(string name, out JsonElement value)
    {
        value = default;
        return _error is null && _root.TryGetProperty(name, out value);
    }

    private string? Fault(string name, string message)
    {
        _faults.Add(new(name, message));
        return null;
    }
}
