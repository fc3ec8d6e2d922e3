namespace Penstock.Proxy.Balancing;

/// <summary>A hash that is the same on every node and after every start, so that all nodes spread keys alike: FNV-1a,
/// finished by SplitMix64's mixer. It is predictable, which does no harm here: a client that chooses its key may choose
/// its backend. Buckets use <see cref="RateLimiting.KeyHash"/>, which nobody outside can predict. Pure.</summary>
internal static class StableHash
{
    public static ulong Of(ReadOnlySpan<byte> bytes, ulong seed = 0)
    {
        ulong hash = 0xCBF29CE484222325 ^ seed;
        foreach (byte b in bytes)
        {
            hash = (hash ^ b) * 0x100000001B3;
        }
        return Mix(hash);
    }

    public static ulong Mix(ulong word)
    {
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9;
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB;
        return word ^ (word >> 31);
    }
}
