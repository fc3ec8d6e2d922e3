using System.Text;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>What a caller wants to be so before an edit is made (RFC 9110 §13.1).</summary>
internal readonly record struct Preconditions(string? IfMatch, string? IfNoneMatch)
{
    /// <param name="client">As it is; null when there is none.</param>
    public bool Hold(ClientState? client) => (IfMatch is null || EntityTag.Matches(IfMatch, client))
        && (IfNoneMatch is null || !EntityTag.Matches(IfNoneMatch.Replace("W/", "", StringComparison.Ordinal), client));
}

/// <summary>Names the state of a client's settings, not of its tokens, which move with every request. Made of the
/// settings themselves: nothing to store, the same on every node, equal again when a change is taken back.</summary>
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
