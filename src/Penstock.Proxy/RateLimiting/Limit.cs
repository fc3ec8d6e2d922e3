using System.Numerics;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A compiled limit: the arithmetic of GCRA (the generic cell rate algorithm, ITU-T I.371) on one 64-bit
/// word. Immutable, thread-safe.
///
/// The word is the bucket's theoretical arrival time (TAT): the moment when the bucket will be full again. It is
/// counted not in seconds but on the limit's own clock, in fractions of a token: <c>clock(now) = now · rate</c>. So a
/// token costs a whole number of units, however odd the rate, and nothing is ever rounded twice: a clock reading is
/// rounded once, by less than one unit, and errors do not add up. A unit is 2^-k token, with the largest k for which
/// 100 years of uptime and the capacity fit in 62 bits: at most about a nanosecond's worth for any usual limit.
///
/// That is exactly a token bucket of <c>capacity</c> refilled continuously at <c>rate</c>:
/// <c>tokens = capacity − max(0, TAT − clock(now))</c>. Nobody has to refill it.</summary>
internal sealed class Limit
{
    private const double HorizonSeconds = 100 * 365.25 * 24 * 3600;
    private const int MaxUnitBits = 40;

    private readonly int _unitBits;
    private readonly ulong _factor;
    private readonly int _factorShift;
    private readonly double _unitsPerSecond;

    /// <param name="name">For the RateLimit fields and the log: a limit's name, or <c>client</c>.</param>
    /// <param name="config">Must have passed <see cref="Limiter.Fault"/>.</param>
    public Limit(string name, LimitConfig config)
    {
        Name = name;
        NameOctets = Encoding.UTF8.GetBytes(name);
        Config = config;
        double tokens = (config.RatePerSecond * HorizonSeconds) + config.Capacity;
        _unitBits = Math.Min(MaxUnitBits, 61 - (int)Math.Ceiling(Math.Log2(tokens)));
        Full = config.Capacity << _unitBits;
        _unitsPerSecond = config.RatePerSecond * (1L << _unitBits);

        // clock(ns) = ns · factor / 2^shift, with a factor of 63 significant bits.
        double unitsPerNs = _unitsPerSecond / 1e9;
        _factorShift = 62 - (int)Math.Floor(Math.Log2(unitsPerNs));
        _factor = (ulong)RoundedRatio(config.RatePerSecond, _unitBits + _factorShift);

        PolicyField = Encoding.ASCII.GetBytes($"\"{name}\";q={config.Capacity};w={WindowSeconds}");
        StateField = Encoding.ASCII.GetBytes($"\"{name}\";r=");
    }

    /// <summary>Number of the limit that this one takes the place of, with its buckets' tokens; -1: none.</summary>
    public int Before { get; init; } = -1;

    /// <summary>When another limit took the place of this one; never, as long as it is in force.</summary>
    public long ReplacedAtNs { get; set; } = long.MaxValue;

    public string Name { get; }
    public byte[] NameOctets { get; }
    public LimitConfig Config { get; }

    /// <summary>Units in a full bucket.</summary>
    public long Full { get; }

    /// <summary>Seconds in which an empty bucket fills, rounded up: the <c>w</c> of RateLimit-Policy.</summary>
    public long WindowSeconds => (long)Math.Min(int.MaxValue, Math.Ceiling(Config.Capacity / Config.RatePerSecond));

    /// <summary>Value of the RateLimit-Policy field: <c>"default";q=100;w=10</c>.</summary>
    public byte[] PolicyField { get; }

    /// <summary>Start of the RateLimit field: <c>"default";r=</c>.</summary>
    public byte[] StateField { get; }

    /// <summary>This limit's clock, in units, at a time of the process' monotonic clock.</summary>
    /// <param name="nowNs">Nanoseconds since the process started; negative counts as 0.</param>
    public long Clock(long nowNs)
    {
        if (nowNs <= 0)
        {
            return 0;
        }
        ulong high = Math.BigMul((ulong)nowNs, _factor, out ulong low);
        return _factorShift >= 64
            ? (long)(high >> (_factorShift - 64))
            : (long)((high << (64 - _factorShift)) | (low >> _factorShift));
    }

    /// <summary>Takes <paramref name="cost"/> tokens if they are there; else the bucket stays as it was.</summary>
    /// <param name="tat">The word; updated when admitted.</param>
    /// <param name="clock">From <see cref="Clock"/>.</param>
    public bool TryTake(ref long tat, long clock, int cost)
    {
        long next = Math.Max(tat, clock) + ((long)cost << _unitBits);
        if (next - clock > Full)
        {
            return false;
        }
        tat = next;
        return true;
    }

    /// <summary>Units taken and not yet back, at that clock.</summary>
    private long Used(long tat, long clock) => Math.Clamp(tat - clock, 0, Full);

    /// <summary>Tokens in the bucket, with their fraction.</summary>
    public double Tokens(long tat, long clock) =>
        Math.ScaleB((double)(Full - Used(tat, clock)), -_unitBits);

    public long WholeTokens(long tat, long clock) => (Full - Used(tat, clock)) >> _unitBits;

    /// <summary>The word of a bucket that holds <paramref name="tokens"/> (clamped to 0–capacity) now.</summary>
    public long Word(double tokens, long clock)
    {
        long units = (long)Math.ScaleB(Math.Clamp(tokens, 0, Config.Capacity), _unitBits);
        return clock + (Full - Math.Min(units, Full));
    }

    /// <summary>Whole seconds, rounded up, until the bucket holds one more whole token than now; 0 when it is
    /// full.</summary>
    public long SecondsToNextToken(long tat, long clock)
    {
        long used = Used(tat, clock);
        if (used == 0)
        {
            return 0;
        }
        long after = ((Full - used) >> _unitBits) + 1;
        long wait = used - (Full - (after << _unitBits));
        return Math.Max(1, (long)Math.Ceiling(wait / _unitsPerSecond));
    }

    /// <summary>round(rate · 2^bits / 10^9) in exact arithmetic.</summary>
    private static BigInteger RoundedRatio(double rate, int bits)
    {
        long raw = BitConverter.DoubleToInt64Bits(rate);
        int exponent = (int)((raw >> 52) & 0x7FF) - 1075 + bits;
        BigInteger mantissa = (raw & 0xF_FFFF_FFFF_FFFF) | 0x10_0000_0000_0000;
        BigInteger numerator = exponent >= 0 ? mantissa << exponent : mantissa;
        BigInteger denominator = exponent >= 0 ? 1_000_000_000 : (BigInteger)1_000_000_000 << -exponent;
        return ((numerator * 2) + denominator) / (denominator * 2);
    }
}
