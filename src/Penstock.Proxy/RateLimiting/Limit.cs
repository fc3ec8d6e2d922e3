using System.Numerics;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A compiled limit: the arithmetic of GCRA (the generic cell rate algorithm, ITU-T I.371) on one 64-bit
/// number, the state of a bucket. Immutable, thread-safe.
///
/// The state is the bucket's theoretical arrival time (TAT): the moment when the bucket will be full again. It is not
/// counted in seconds but on the limit's own clock, in fractions of a token: <c>clock(now) = now · rate</c>. So a token
/// costs a whole number of units at any rate, and nothing is rounded twice: a clock reading is rounded once, by less
/// than one unit, and errors do not add up. A unit is 2^-k token, with the largest k up to 40 for which 100 years of
/// uptime and the capacity fit in 62 bits: at most two nanoseconds' worth.
///
/// That is exactly a token bucket of <c>capacity</c> refilled continuously at <c>rate</c>: <c>tokens = capacity −
/// max(0, TAT − clock(now))</c>. No timer has to refill it. A decision can differ from that of the ideal bucket only
/// when the ideal one is within one unit of the edge.
///
/// The rate is the simplest fraction that is written as its number: 0.1 is 1/10 and not the binary fraction next to it,
/// and one a day is one in 86,400 seconds. The clock's factor is rounded up, so time that brings a whole number of
/// units never counts as one less: a client that waits for Retry-After is admitted.</summary>
internal sealed class Limit
{
    private const double HorizonSeconds = 100 * 365.25 * 24 * 3600;
    private const int MaxUnitBits = 40;
    private const long NsPerSecond = 1_000_000_000;

    /// <summary>The bound of a fraction's two terms: 2^31, so that no product overflows.</summary>
    private const long MaxTerm = 1L << 31;

    private readonly int _unitBits;
    private readonly ulong _factor;
    private readonly int _factorShift;
    private readonly double _unitsPerSecond;
    private volatile Limit? _successor;

    /// <param name="name">The name in the RateLimit fields and the log: a limit's name, or <c>client</c>.</param>
    /// <exception cref="ArgumentException">The numbers have a fault, see <see cref="Limiter.Fault"/>. So no bucket can
    /// have them, wherever they come from.</exception>
    public Limit(string name, LimitConfig config)
    {
        if (Limiter.Fault(config.Capacity, config.RatePerSecond) is { } fault)
        {
            throw new ArgumentException($"limit {name}: {fault}", nameof(config));
        }
        Name = name;
        NameBytes = Encoding.UTF8.GetBytes(name);
        Config = config;
        double tokens = (config.RatePerSecond * HorizonSeconds) + config.Capacity;
        _unitBits = Math.Min(MaxUnitBits, 61 - (int)Math.Ceiling(Math.Log2(tokens)));
        Full = config.Capacity << _unitBits;
        _unitsPerSecond = config.RatePerSecond * (1L << _unitBits);

        // clock(ns) = ns · factor / 2^shift, with a factor of 63 significant bits.
        double unitsPerNs = _unitsPerSecond / 1e9;
        _factorShift = 62 - (int)Math.Floor(Math.Log2(unitsPerNs));
        _factor = Factor(config.RatePerSecond, _unitBits + _factorShift);

        PolicyField = Encoding.ASCII.GetBytes($"\"{name}\";q={config.Capacity};w={WindowSeconds}");
        StateField = Encoding.ASCII.GetBytes($"\"{name}\";r=");
    }

    /// <summary>The limit's number in the bucket table; -1: none, or no longer one.</summary>
    public int Number { get; set; } = -1;

    /// <summary>The limit that this one has replaced, and whose buckets' tokens it takes over; null: none, or no longer
    /// one.</summary>
    public Limit? Predecessor { get; set; }

    /// <summary>The limit that has replaced this one; null: none. Once it is set, no thread uses this limit's buckets,
    /// even if it still refers to the limit: a loop without the new configuration, or an exchange in flight.</summary>
    public Limit? Successor
    {
        get => _successor;
        set => _successor = value;
    }

    /// <summary>This limit, or the one in force that has replaced it.</summary>
    public Limit Current
    {
        get
        {
            Limit current = this;
            while (current._successor is { } next)
            {
                current = next;
            }
            return current;
        }
    }

    /// <summary>When the limit was replaced or removed, in nanoseconds of the monotonic clock;
    /// <see cref="long.MaxValue"/> while it is in force.</summary>
    public long ReplacedAtNs { get; set; } = long.MaxValue;

    public string Name { get; }
    public byte[] NameBytes { get; }
    public LimitConfig Config { get; }

    /// <summary>Units in a full bucket.</summary>
    public long Full { get; }

    /// <summary>Whether the other limit has the same capacity and rate.</summary>
    public bool HasNumbersOf(LimitConfig other) =>
        Config.Capacity == other.Capacity && Config.RatePerSecond.Equals(other.RatePerSecond);

    /// <summary>Seconds until an empty bucket is full, rounded up: the <c>w</c> of RateLimit-Policy.</summary>
    public long WindowSeconds => (long)Math.Min(int.MaxValue, Math.Ceiling(Config.Capacity / Config.RatePerSecond));

    /// <summary>Value of the RateLimit-Policy field: <c>"default";q=100;w=10</c>.</summary>
    public byte[] PolicyField { get; }

    /// <summary>Start of the RateLimit field: <c>"default";r=</c>.</summary>
    public byte[] StateField { get; }

    /// <summary>A token is 2 to this power units.</summary>
    public int UnitBits => _unitBits;

    /// <summary>The limit's clock, in units, at a time of the process' monotonic clock.</summary>
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

    /// <summary>Takes <paramref name="cost"/> tokens if the bucket has enough; otherwise the state does not
    /// change.</summary>
    /// <param name="state">The bucket's state; updated when tokens are taken.</param>
    /// <param name="clock">The time, from <see cref="Clock"/>.</param>
    public bool TryTake(ref long state, long clock, int cost)
    {
        long next = Math.Max(state, clock) + ((long)cost << _unitBits);
        if (next - clock > Full || cost > Config.Capacity) // a cost far beyond the capacity would overflow
        {
            return false;
        }
        state = next;
        return true;
    }

    /// <summary>Takes tokens even if the bucket has too few, down to minus the capacity. A negative cost gives tokens
    /// back.</summary>
    /// <returns>The bucket's new state.</returns>
    public long Debit(long state, long clock, int cost) =>
        Math.Min(Math.Max(state, clock) + ((long)cost << _unitBits), clock + (2 * Full));

    /// <summary>Takes tokens if the bucket has enough, or in any case.</summary>
    /// <returns>Whether they were taken.</returns>
    public bool TryTake(ref long state, long clock, int cost, bool inAnyCase)
    {
        if (!inAnyCase)
        {
            return TryTake(ref state, clock, cost);
        }
        state = Debit(state, clock, cost);
        return true;
    }

    /// <summary>Units that were taken and are not yet refilled at that time.</summary>
    private long Used(long state, long clock) => Math.Clamp(state - clock, 0, 2 * Full);

    /// <summary>Tokens in the bucket, with fraction.</summary>
    public double Tokens(long state, long clock) => Math.ScaleB((double)Left(state, clock), -_unitBits);

    public long WholeTokens(long state, long clock) => Left(state, clock) >> _unitBits;

    private long Left(long state, long clock) => Math.Max(0, Full - Used(state, clock));

    /// <summary>The state of a bucket that holds <paramref name="tokens"/> (clamped to 0–capacity) now.</summary>
    public long StateOf(double tokens, long clock)
    {
        long units = (long)Math.ScaleB(Math.Clamp(tokens, 0, Config.Capacity), _unitBits);
        return clock + (Full - Math.Min(units, Full));
    }

    /// <summary>Tokens in the bucket, with fraction; negative when statuses have taken more than it had.</summary>
    public double SignedTokens(long state, long clock) => Math.ScaleB((double)(Full - Used(state, clock)), -_unitBits);

    /// <summary>The state of a bucket with these <see cref="SignedTokens"/> now, at most full.</summary>
    public long StateOfSigned(double tokens, long clock) =>
        clock + Full - (long)Math.ScaleB(Math.Clamp(tokens, -Config.Capacity, Config.Capacity), _unitBits);

    /// <summary>The state of a bucket with <paramref name="tokens"/> more than this one, at most full. For
    /// display.</summary>
    public long Plus(long state, long clock, long tokens) =>
        Math.Max(state, clock) - (Math.Min(tokens, Config.Capacity) << _unitBits);

    /// <summary>The state of a bucket that lacks one unit of <paramref name="tokens"/>, so that Retry-After says 1: the
    /// lease is on its way.</summary>
    public long JustBelow(long clock, int tokens) => clock + Full - ((long)tokens << _unitBits) + 1;

    /// <summary>Whole seconds, rounded up, until the bucket holds one more whole token than now; 0 when it is
    /// full.</summary>
    public long SecondsToNextToken(long state, long clock)
    {
        long used = Used(state, clock);
        return used == 0 ? 0 : SecondsFor(used - Full + ((WholeTokens(state, clock) + 1) << _unitBits));
    }

    /// <summary>Whole seconds, rounded up, until the bucket is full.</summary>
    public long SecondsToFull(long state, long clock) => SecondsFor(Used(state, clock));

    /// <summary>Whole seconds, rounded up, until the bucket has <paramref name="cost"/> tokens if nobody takes any; 0:
    /// it has them; -1: it never will.</summary>
    public long SecondsUntil(long state, long clock, int cost) => cost > Config.Capacity ? -1
        : SecondsFor(Used(state, clock) + ((long)cost << _unitBits) - Full);

    /// <summary>The first moment at which the bucket, if nobody takes from it, admits <paramref name="cost"/> tokens:
    /// one nanosecond earlier it does not.</summary>
    /// <returns>Nanoseconds on the process' monotonic clock, at least <paramref name="nowNs"/>; -1: never.</returns>
    public long AdmitsAtNs(long state, long nowNs, int cost)
    {
        if (cost > Config.Capacity)
        {
            return -1;
        }
        long target = state + ((long)cost << _unitBits) - Full; // the clock reading at which they are refilled
        if (target <= Clock(nowNs))
        {
            return nowNs;
        }
        UInt128 reached = (UInt128)target << _factorShift;
        return (long)((reached + _factor - 1) / _factor);
    }

    /// <summary>The smallest number of whole seconds that always bring this many units, wherever between two units they
    /// begin.</summary>
    private long SecondsFor(long units)
    {
        if (units <= 0)
        {
            return 0;
        }
        long seconds = (long)(units / _unitsPerSecond); // exact except for the last bits
        while (seconds > 0 && Clock(seconds * NsPerSecond) >= units)
        {
            seconds--;
        }
        while (Clock(seconds * NsPerSecond) < units)
        {
            seconds++;
        }
        return seconds;
    }

    /// <summary>rate · 2^bits / 10^9, rounded up, in exact arithmetic.</summary>
    private static ulong Factor(double rate, int bits)
    {
        (BigInteger numerator, BigInteger denominator) = Fraction(rate);
        denominator *= NsPerSecond;
        return (ulong)(((numerator << bits) + denominator - 1) / denominator);
    }

    /// <summary>The first convergent of the number's continued fraction that equals the number as a
    /// <see cref="double"/>. By Legendre's theorem this finds every p/q with p · q below 2^52.</summary>
    private static (BigInteger Numerator, BigInteger Denominator) Fraction(double number)
    {
        long raw = BitConverter.DoubleToInt64Bits(number);
        int exponent = (int)((raw >> 52) & 0x7FF) - 1075; // -76 to -33 for the rates that are allowed
        UInt128 rest = (ulong)((raw & 0xF_FFFF_FFFF_FFFF) | 0x10_0000_0000_0000);
        UInt128 divisor = UInt128.One << -exponent;
        (BigInteger, BigInteger) binary = ((BigInteger)rest, (BigInteger)divisor);

        (long p, long earlierP, long q, long earlierQ) = (1, 0, 0, 1);
        while (divisor != 0)
        {
            (UInt128 whole, UInt128 left) = UInt128.DivRem(rest, divisor);
            if (whole > MaxTerm)
            {
                break;
            }
            (p, earlierP) = (((long)whole * p) + earlierP, p);
            (q, earlierQ) = (((long)whole * q) + earlierQ, q);
            if (p > MaxTerm || q > MaxTerm)
            {
                break;
            }
            if ((double)p / q == number)
            {
                return (p, q);
            }
            (rest, divisor) = (divisor, left);
        }
        return binary;
    }
}
