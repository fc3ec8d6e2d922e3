using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <content>Finds out whether an identifier is known.</content>
internal sealed partial class ClientIdentifier
{
    /// <summary>Maximum length, in bytes, of a key that is looked up by its hash. Tokens may have some
    /// kilobytes.</summary>
    private const int MaxKeyBytes = 4096;

    /// <summary>Whether the identifier belongs to a registered or exempt client, by the id itself or by its
    /// hash.</summary>
    /// <param name="id">The identifier; afterwards the client's id, which is the hash if the hash is
    /// registered.</param>
    internal bool TryKnow(ref ReadOnlySpan<byte> id, out RegisteredClient? client, out bool exempt)
    {
        client = null;
        exempt = false;
        // An address as an identifier counts only by the connection, not in a field. A key's hash is not accepted
        // either: a client that knows the hash does not have the key.
        if (id.Length > MaxKeyBytes || HashedKey.IsHash(id))
        {
            return false;
        }
        if (id.Length <= MaxIdBytes)
        {
            exempt = _exemptIds.Contains(id);
            if (_limiter.Clients.TryFind(id, out client) && !client.IsAddress)
            {
                return true;
            }
            client = null;
        }
        if (exempt || !(_limiter.Clients.AnyHashed || _exemptsHashes))
        {
            return exempt;
        }
        Span<byte> hash = stackalloc byte[HashedKey.Length];
        HashedKey.Write(id, hash);
        exempt = _exemptIds.TryGetValue(hash, out byte[]? exempted);
        bool registered = _limiter.Clients.TryFind(hash, out client, out byte[]? known);
        id = registered ? known : exempt ? exempted : id;
        return registered || exempt;
    }
}
