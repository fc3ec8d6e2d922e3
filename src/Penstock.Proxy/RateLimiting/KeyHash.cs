using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Penstock.Proxy.RateLimiting;

/// <summary>SipHash-1-3 (Aumasson and Bernstein, 2012) with a random key that is made at start, so that nobody outside
/// can make two client identifiers collide. Thread-safe.</summary>
internal sealed class KeyHash
{
    public const int KeyBytes = 16;

    private readonly ulong _key0;
    private readonly ulong _key1;

    public KeyHash()
    {
        Span<byte> seed = stackalloc byte[KeyBytes];
        RandomNumberGenerator.Fill(seed);
        _key0 = BinaryPrimitives.ReadUInt64LittleEndian(seed);
        _key1 = BinaryPrimitives.ReadUInt64LittleEndian(seed[8..]);
    }

    /// <param name="key">16 bytes.</param>
    public KeyHash(ReadOnlySpan<byte> key)
        : this(BinaryPrimitives.ReadUInt64LittleEndian(key), BinaryPrimitives.ReadUInt64LittleEndian(key[8..]))
    {
    }

    public KeyHash(ulong key0, ulong key1)
    {
        _key0 = key0;
        _key1 = key1;
    }

    /// <summary>The key, 16 bytes.</summary>
    public byte[] Key
    {
        get
        {
            byte[] key = new byte[KeyBytes];
            BinaryPrimitives.WriteUInt64LittleEndian(key, _key0);
            BinaryPrimitives.WriteUInt64LittleEndian(key.AsSpan(8), _key1);
            return key;
        }
    }

    /// <param name="bytes">The key.</param>
    /// <param name="domain">Tells equal keys of different kinds apart.</param>
    public ulong Hash(ReadOnlySpan<byte> bytes, ulong domain = 0)
    {
        ulong v0 = _key0 ^ 0x736f6d6570736575;
        ulong v1 = _key1 ^ domain ^ 0x646f72616e646f6d;
        ulong v2 = _key0 ^ 0x6c7967656e657261;
        ulong v3 = _key1 ^ domain ^ 0x7465646279746573;
        int length = bytes.Length;

        while (bytes.Length >= 8)
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            v3 ^= word;
            Round(ref v0, ref v1, ref v2, ref v3);
            v0 ^= word;
            bytes = bytes[8..];
        }

        ulong last = (ulong)length << 56;
        for (int i = 0; i < bytes.Length; i++)
        {
            last |= (ulong)bytes[i] << (8 * i);
        }
        v3 ^= last;
        Round(ref v0, ref v1, ref v2, ref v3);
        v0 ^= last;

        v2 ^= 0xFF;
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
        return v0 ^ v1 ^ v2 ^ v3;
    }

    private static void Round(ref ulong v0, ref ulong v1, ref ulong v2, ref ulong v3)
    {
        v0 += v1;
        v1 = BitOperations.RotateLeft(v1, 13) ^ v0;
        v0 = BitOperations.RotateLeft(v0, 32);
        v2 += v3;
        v3 = BitOperations.RotateLeft(v3, 16) ^ v2;
        v0 += v3;
        v3 = BitOperations.RotateLeft(v3, 21) ^ v0;
        v2 += v1;
        v1 = BitOperations.RotateLeft(v1, 17) ^ v2;
        v2 = BitOperations.RotateLeft(v2, 32);
    }
}
