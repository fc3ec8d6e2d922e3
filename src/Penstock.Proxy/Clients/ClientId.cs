using System.Globalization;
using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <summary>Checks client ids. An id is valid if a request can carry it or come from it. Pure.</summary>
public static class ClientId
{
    /// <summary>Maximum length of an id, in bytes of UTF-8. Longer identifiers are not looked up.</summary>
    public const int MaxBytes = 256;

    private const string HashPrefix = "sha256:";

    /// <summary>Characters that are invisible although their categories are visible ones (Unicode's
    /// Default_Ignorable_Code_Point, and the blank Braille pattern).</summary>
    private static readonly (int First, int Last)[] Blank =
    [
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    ];

    /// <summary>Why the id is not valid, as the end of a sentence; null: it is valid.</summary>
    public static string? Fault(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (Encoding.UTF8.GetByteCount(id) is 0 or > MaxBytes)
        {
            return $"must have 1 to {MaxBytes} bytes of UTF-8";
        }
        if (char.IsWhiteSpace(id[0]) || char.IsWhiteSpace(id[^1]))
        {
            return "must not begin or end with a space"; // no header field can carry it
        }
        if (!id.EnumerateRunes().All(IsVisible))
        {
            return "must hold printable characters only";
        }
        if (id.StartsWith(HashPrefix, StringComparison.OrdinalIgnoreCase)
            && !HashedKey.IsHash(Encoding.UTF8.GetBytes(id)))
        {
            return "must be sha256: and 64 lower-case hexadecimal digits, as sha256sum prints them";
        }
        return AddressText.Canonical(id) is { } canonical && !string.Equals(canonical, id, StringComparison.Ordinal)
            ? $"is an address in a spelling under which no request is counted; write {canonical}" : null;
    }

    /// <summary>Whether a request counts for this id by its address, and not by an identifier that it
    /// carries.</summary>
    public static bool IsAddress(string id) => RegisteredAddresses.IsAddress(id);

    /// <summary>Why, with this configuration, no request is ever limited by this client's limit; null: no such
    /// reason.</summary>
    public static IReadOnlyList<string>? Warnings(string id, ProxyConfig proxy)
    {
        ArgumentNullException.ThrowIfNull(proxy);
        ClientsConfig config = proxy.Clients;
        List<string> warnings = [];
        if (!IsAddress(id) && !CanBeCarried(config))
        {
            warnings.Add("no request can carry this id: clients.identify names no header or query parameter before "
                + "'address'; add one, such as header:X-API-Key");
        }
        if (id is "unix" && proxy.Listeners.All(static l => l.Address is IPEndPoint))
        {
            warnings.Add("'unix' means clients of Unix domain sockets, and no listener is one");
        }
        if (config.ExemptIds.Contains(id, StringComparer.Ordinal) || (AddressText.TryParse(id, out IPAddress? address)
            && config.ExemptNetworks.Any(n => n.Contains(address))))
        {
            warnings.Add("clients.exempt exempts this client from every limit");
        }
        return warnings.Count == 0 ? null : warnings;
    }

    /// <summary>Whether identifiers are read from requests at all.</summary>
    public static bool CanBeCarried(ClientsConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return config.Identify.Count > 0 && config.Identify[0].Kind != IdentityKind.Address;
    }

    private static bool IsVisible(Rune rune) => rune.Value == ' ' || (rune != Rune.ReplacementChar
        && Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator
            or UnicodeCategory.OtherNotAssigned or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate)
        && !Array.Exists(Blank, range => rune.Value >= range.First && rune.Value <= range.Last));
}
