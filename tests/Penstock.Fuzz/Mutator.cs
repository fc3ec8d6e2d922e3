using System.Globalization;
using System.Text;

namespace Penstock.Fuzz;

/// <summary>Makes a new input from one or two others.</summary>
internal sealed class Mutator(Random random, IReadOnlyList<byte[]> tokens, int maxBytes)
{
    /// <summary>Numbers at which a parser may behave differently.</summary>
    private static readonly byte[][] Numbers = [.. new[]
    {
        "0", "00", "1", "-1", "+1", "9", "10", "15", "16", "f", "F", "10 ", "0x10", "65535", "65536", "2147483647",
        "2147483648", "4294967295", "4294967296", "7fffffff", "ffffffff", "fffffffffffffff", "7fffffffffffffff",
        "ffffffffffffffff", "10000000000000000", "999999999999999999", "1000000000000000000", "9223372036854775807",
        "9223372036854775808", "18446744073709551616", "0.5", "1e9", "NaN",
    }.Select(Encoding.ASCII.GetBytes)];

    public byte[] Mutate(byte[] input, byte[] other)
    {
        var bytes = new List<byte>(input);
        for (int times = 1 + random.Next(1 << random.Next(4)); times > 0; times--)
        {
            Step(bytes, other);
        }
        if (bytes.Count > maxBytes)
        {
            bytes.RemoveRange(maxBytes, bytes.Count - maxBytes);
        }
        return [.. bytes];
    }

    private void Step(List<byte> bytes, byte[] other)
    {
        int at = random.Next(bytes.Count + 1);
        (int from, int length) = Range(bytes.Count);
        switch (random.Next(12))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2:
                bytes.Insert(at, (byte)random.Next(256));
                break;
            case 3:
                bytes.RemoveRange(from, length);
                break;
            case 4:
                bytes.InsertRange(at, bytes.GetRange(from, length));
                break;
            case 5 when random.Next(8) == 0:
                Repeat(bytes, at, bytes.GetRange(from, length));
                break;
            case 6: // a piece of the other one
                (from, length) = Range(other.Length);
                bytes.InsertRange(at, other.AsSpan(from, length).ToArray());
                break;
            case 7: // this one's start, the other one's end
                bytes.RemoveRange(at, bytes.Count - at);
                bytes.AddRange(other.AsSpan(Math.Min(other.Length, random.Next(2) == 0 ? at : from)).ToArray());
                break;
            case 8: // a token in place of something
                bytes.RemoveRange(from, Math.Min(length, 8));
                bytes.InsertRange(from, Pick(tokens));
                break;
            case 9:
                ReplaceNumber(bytes);
                break;
            default:
                bytes.InsertRange(at, Pick(tokens));
                break;
        }
    }

    /// <summary>Far enough to reach the limits.</summary>
    private void Repeat(List<byte> bytes, int at, List<byte> piece)
    {
        int times = Math.Min(1 << random.Next(12), (maxBytes - bytes.Count) / Math.Max(1, piece.Count));
        if (times > 0)
        {
            bytes.InsertRange(at, Enumerable.Repeat(piece, times).SelectMany(static p => p));
        }
    }

    private void ReplaceNumber(List<byte> bytes)
    {
        int start = bytes.FindIndex(random.Next(bytes.Count + 1), static b => char.IsAsciiHexDigit((char)b));
        if (start < 0)
        {
            return;
        }
        int end = start;
        while (end < bytes.Count && char.IsAsciiHexDigit((char)bytes[end]))
        {
            end++;
        }
        string digits = Encoding.ASCII.GetString([.. bytes.GetRange(start, end - start)]);
        byte[] number = random.Next(3) == 0 && long.TryParse(digits, CultureInfo.InvariantCulture, out long value)
            ? Encoding.ASCII.GetBytes(Math.Max(0, value + random.Next(-2, 3)).ToString(CultureInfo.InvariantCulture))
            : Pick(Numbers);
        bytes.RemoveRange(start, end - start);
        bytes.InsertRange(start, number);
    }

    private (int From, int Length) Range(int count)
    {
        int from = random.Next(count + 1);
        int most = random.Next(4) == 0 ? count - from : Math.Min(16, count - from);
        return (from, random.Next(most + 1));
    }

    private byte[] Pick(IReadOnlyList<byte[]> from) => from[random.Next(from.Count)];
}
