using System.Globalization;
using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <summary>What may be a client's id: whatever a request can carry, or come from, and nothing else. Pure.</summary>
public static class ClientId
{
    /// <summary>Bytes of UTF-8; longer identifiers are not looked up.</summary>
    public const int MaxBytes = 256;

    private const string HashPrefix = "sha256:";

    /// <summary>Characters that have a width of nothing although their categories are visible ones (Unicode's
    /// Default_Ignorable_Code_Point, and the blank Braille pattern).</summary>
    private static readonly (int First, int Last)[] Blank =
    [
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    ];

    /// <summary>Why this cannot be a client's id, or null.</summary>
    public static string? Fault(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (Encoding.UTF8.GetByteCount(id) is 0 or > MaxBytes)
        {
            return $"must have 1 to {MaxBytes} bytes of UTF-8";
        }
        if (char.IsWhiteSpace(id[0]) || char.IsWhiteSpace(id[^1]))
        {
            return "must not begin or end with a space"; // no header field could carry it
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
            ? $"is an address that no request is counted under in this spelling; write {canonical}" : null;
    }

    /// <summary>Does a request count for this id by its address, and not by what it carries?</summary>
    public static bool IsAddress(string id) => RegisteredAddresses.IsAddress(id);

    /// <summary>Why no request is ever held to the limit of this client, as things are configured; null: it can be.
    /// </summary>
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
            warnings.Add("'unix' is who comes by a Unix socket, and no listener is one");
        }
        if (config.ExemptIds.Contains(id, StringComparer.Ordinal) || (AddressText.TryParse(id, out IPAddress? address)
            && config.ExemptNetworks.Any(n => n.Contains(address))))
        {
            warnings.Add("clients.exempt frees this client from every limit");
        }
        return warnings.Count == 0 ? null : warnings;
    }

    /// <summary>Is there a place in a request where an identifier is looked for?</summary>
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
