using System.Globalization;
using System.Text;

namespace Penstock.Fuzz;

/// <summary>Makes an input out of one or two others.</summary>
internal sealed class Mutator(Random random, IReadOnlyList<byte[]> tokens, int maxBytes)
{
    /// <summary>Numbers at which a parser may change its mind.</summary>
    private static readonly byte[][] Numbers = [.. new[]
    {
        "0", "00", "1", "-1", "+1", "9", "10", "15", "16", "f", "F", "10 ", "0x10", "65535", "65536", "2147483647",
        "2147483648", "4294967295", "4294967296", "7fffffff", "ffffffff", "fffffffffffffff", "7fffffffffffffff",
        "ffffffffffffffff", "10000000000000000", "999999999999999999", "1000000000000000000", "9223372036854775807",
        "9223372036854775808", "18446744073709551616", "0.5", "1e9", "NaN",
    }.Select(Encoding.ASCII.GetBytes)];

    public byte[] Mutate(byte[] input, byte[] other)
    {
        var octets = new List<byte>(input);
        for (int times = 1 + random.Next(1 << random.Next(4)); times > 0; times--)
        {
            Step(octets, other);
        }
        if (octets.Count > maxBytes)
        {
            octets.RemoveRange(maxBytes, octets.Count - maxBytes);
        }
        return [.. octets];
    }

    private void Step(List<byte> octets, byte[] other)
    {
        int at = random.Next(octets.Count + 1);
        (int from, int length) = Range(octets.Count);
        switch (random.Next(12))
        {
            case 0 when at < octets.Count:
                octets[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < octets.Count:
                octets[at] = (byte)random.Next(256);
                break;
            case 2:
                octets.Insert(at, (byte)random.Next(256));
                break;
            case 3:
                octets.RemoveRange(from, length);
                break;
            case 4:
                octets.InsertRange(at, octets.GetRange(from, length));
                break;
            case 5 when random.Next(8) == 0:
                Repeat(octets, at, octets.GetRange(from, length));
                break;
            case 6: // a piece of the other one
                (from, length) = Range(other.Length);
                octets.InsertRange(at, other.AsSpan(from, length).ToArray());
                break;
            case 7: // this one's start, the other one's end
                octets.RemoveRange(at, octets.Count - at);
                octets.AddRange(other.AsSpan(Math.Min(other.Length, random.Next(2) == 0 ? at : from)).ToArray());
                break;
            case 8: // a token in place of something
                octets.RemoveRange(from, Math.Min(length, 8));
                octets.InsertRange(from, Pick(tokens));
                break;
            case 9:
                ReplaceNumber(octets);
                break;
            default:
                octets.InsertRange(at, Pick(tokens));
                break;
        }
    }

    /// <summary>Far enough to reach the limits.</summary>
    private void Repeat(List<byte> octets, int at, List<byte> piece)
    {
        int times = Math.Min(1 << random.Next(12), (maxBytes - octets.Count) / Math.Max(1, piece.Count));
        if (times > 0)
        {
            octets.InsertRange(at, Enumerable.Repeat(piece, times).SelectMany(static p => p));
        }
    }

    private void ReplaceNumber(List<byte> octets)
    {
        int start = octets.FindIndex(random.Next(octets.Count + 1), static b => char.IsAsciiHexDigit((char)b));
        if (start < 0)
        {
            return;
        }
        int end = start;
        while (end < octets.Count && char.IsAsciiHexDigit((char)octets[end]))
        {
            end++;
        }
        string digits = Encoding.ASCII.GetString([.. octets.GetRange(start, end - start)]);
        byte[] number = random.Next(3) == 0 && long.TryParse(digits, CultureInfo.InvariantCulture, out long value)
            ? Encoding.ASCII.GetBytes(Math.Max(0, value + random.Next(-2, 3)).ToString(CultureInfo.InvariantCulture))
            : Pick(Numbers);
        octets.RemoveRange(start, end - start);
        octets.InsertRange(start, number);
    }

    private (int From, int Length) Range(int count)
    {
        int from = random.Next(count + 1);
        int most = random.Next(4) == 0 ? count - from : Math.Min(16, count - from);
        return (from, random.Next(most + 1));
    }

    private byte[] Pick(IReadOnlyList<byte[]> from) => from[random.Next(from.Count)];
}
