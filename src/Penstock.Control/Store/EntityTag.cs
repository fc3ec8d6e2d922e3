using System.Text;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>The preconditions of an edit (RFC 9110 §13.1).</summary>
internal readonly record struct Preconditions(string? IfMatch, string? IfNoneMatch)
{
    /// <param name="client">The client before the edit; null if it does not exist.</param>
    public bool Hold(ClientState? client) => (IfMatch is null || EntityTag.Matches(IfMatch, client))
        && (IfNoneMatch is null || !EntityTag.Matches(IfNoneMatch.Replace("W/", "", StringComparison.Ordinal), client));
}

/// <summary>The entity tag of a client's settings, without its tokens, which change with every request. The tag is
/// made of the settings themselves, so it needs no storage, is equal on every node, and is the same again after a
/// change is reverted.</summary>
internal static class EntityTag
{
    public static string Of(ClientState client)
    {
        var tag = new StringBuilder($"\"{client.Limit.Capacity}-{client.Limit.RatePerSecond}");
        if (client.Terms is { } terms)
        {
            tag.Append($"-{TermsText.WordOf(terms.Access)}-{terms.Plan}");
            if (!terms.HasNumbers)
            {
                tag.Append("-none");
            }

            foreach ((string? name, Proxy.Configuration.LimitConfig? numbers) in terms.Limits)
            {
                tag.Append($"-{name}={numbers.Capacity}:{numbers.RatePerSecond}");
            }
        }
        return tag.Append('"').ToString();
    }

    public static bool Matches(string ifMatch, ClientState? client) => client is { } known
        && (ifMatch.Trim() == "*" || ifMatch.Split(',', StringSplitOptions.TrimEntries).Contains(Of(known)));
}
