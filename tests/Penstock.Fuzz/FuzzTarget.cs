namespace Penstock.Fuzz;

/// <summary>An input that broke what must always hold.</summary>
internal sealed class InvariantException(string invariant, string detail) : Exception($"{invariant}: {detail}")
{
    public string Invariant => invariant;
}

/// <summary>One thing to feed with hostile bytes.</summary>
internal abstract class FuzzTarget
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new Targets.RequestHeadTarget(), new Targets.ResponseHeadTarget(), new Targets.ChunkedBodyTarget(),
        new Targets.ProxyProtocolTarget(), new Targets.PathTarget(), new Targets.IdentityTarget(),
        new Targets.CsvTarget(),
        new Targets.ConfigTarget("config-yaml", "penstock.yaml"),
        new Targets.ConfigTarget("config-json", "penstock.json"),
    ];

    public abstract string Name { get; }

    /// <summary>Where the search begins besides the corpus.</summary>
    public abstract IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Words of the input's language, to be put in anywhere.</summary>
    public abstract IReadOnlyList<byte[]> Tokens { get; }

    /// <summary>Longest input; a little past the limits of what is tested.</summary>
    public abstract int MaxBytes { get; }

    /// <summary>Tries one input. The same input always has the same outcome: where chance is wanted, it is seeded by
    /// the input.</summary>
    /// <returns>What it did, in words; an input that brings a new word is worth keeping. There must be a bounded
    /// number of words.</returns>
    /// <exception cref="InvariantException">Something that must always hold does not.</exception>
    public abstract HashSet<string> Run(byte[] input);

    public static void Require(bool holds, string invariant, FormattableString detail)
    {
        if (!holds)
        {
            throw new InvariantException(invariant, FormattableString.Invariant(detail));
        }
    }

    /// <summary>Numbers into few words: 0, 1, 2, 4, 8, …</summary>
    protected static long Scale(long number) =>
        number <= 0 ? number : 1L << System.Numerics.BitOperations.Log2((ulong)number);

    protected static Random RandomFor(byte[] input)
    {
        uint value = 2166136261;
        foreach (byte b in input)
        {
            value = (value ^ b) * 16777619;
        }
        return new Random((int)value);
    }
}
