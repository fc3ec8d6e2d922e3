using System.Buffers;
using System.Security.Cryptography;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A client id that is the hash of an API key: <c>sha256:</c> and 64 lower-case hex digits, as
/// <c>sha256sum</c> prints them. Then the store and the logs never contain the key itself. There is no salt, because
/// keys are long and random, so nobody can guess them.</summary>
internal static class HashedKey
{
    public const int Length = 7 + (2 * SHA256.HashSizeInBytes);

    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdef"u8);

    private static ReadOnlySpan<byte> Prefix => "sha256:"u8;

    public static bool IsHash(ReadOnlySpan<byte> id) => id.Length == Length && id.StartsWith(Prefix)
        && id[Prefix.Length..].IndexOfAnyExcept(HexDigits) < 0;

    /// <param name="target">Room of <see cref="Length"/> bytes.</param>
    public static void Write(ReadOnlySpan<byte> key, Span<byte> target)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(key, hash);
        Prefix.CopyTo(target);
        Convert.TryToHexStringLower(hash, target[Prefix.Length..], out _);
    }
}
