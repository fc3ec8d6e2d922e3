using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Clients;

/// <content>Who is known.</content>
internal sealed partial class ClientIdentifier
{
    /// <summary>Bytes of a key that is looked up by its hash: a token of some kilobytes, too.</summary>
    private const int MaxKeyBytes = 4096;

    /// <summary>Is it a client that somebody registered or exempted, by its id or by the hash of it?</summary>
    /// <param name="id">Afterwards what the client is called: never a key whose hash is registered.</param>
    internal bool TryKnow(ref ReadOnlySpan<byte> id, out RegisteredClient? client, out bool exempt)
    {
        client = null;
        exempt = false;
        // An address is told by the connection, not by what somebody writes into a field; and who has seen the hash of
        // a key does not have the key.
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
