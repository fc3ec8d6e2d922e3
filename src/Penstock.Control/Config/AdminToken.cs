using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Penstock.Control.Config;

/// <summary>A token that Penstock makes: <c>pst_</c>, 256 random bits and a checksum, in base64url. The prefix lets
/// scanners of source code find a token that was published by mistake; the checksum finds a copy with a missing or
/// wrong character.</summary>
internal static class AdminToken
{
    public const int HashDigits = 2 * SHA256.HashSizeInBytes;

    private const string Prefix = "pst_";
    private const int RandomBytes = 32;
    private const int ChecksumBytes = 4;

    public static string Create()
    {
        Span<byte> bytes = stackalloc byte[RandomBytes + ChecksumBytes];
        RandomNumberGenerator.Fill(bytes[..RandomBytes]);
        Checksum(bytes[..RandomBytes]).CopyTo(bytes[RandomBytes..]);
        return Prefix + Base64Url.EncodeToString(bytes);
    }

    /// <summary>True for a text that begins like a token of Penstock, but whose checksum is wrong.</summary>
    public static bool IsDamaged(string text)
    {
        if (!text.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return false;
        }
        Span<byte> bytes = stackalloc byte[RandomBytes + ChecksumBytes];
        ReadOnlySpan<char> code = text.AsSpan(Prefix.Length);
        return code.Length != Base64Url.GetEncodedLength(bytes.Length)
            || !Base64Url.TryDecodeFromChars(code, bytes, out int count) || count != bytes.Length
            || !Checksum(bytes[..RandomBytes]).SequenceEqual(bytes[RandomBytes..]);
    }

    /// <summary>The hash for the configuration. A token has 256 random bits, so that nobody can find it from a hash
    /// that is quick to compute.</summary>
    public static string HashOf(string token) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private static ReadOnlySpan<byte> Checksum(ReadOnlySpan<byte> random) =>
        SHA256.HashData(random).AsSpan(0, ChecksumBytes);
}
