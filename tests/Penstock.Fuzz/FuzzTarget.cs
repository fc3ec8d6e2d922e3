namespace Penstock.Fuzz;

/// <summary>An input violated an invariant.</summary>
internal sealed class InvariantException(string invariant, string detail) : Exception($"{invariant}: {detail}")
{
    public string Invariant => invariant;
}

/// <summary>A part of Penstock that a fuzzer tests with hostile bytes.</summary>
internal abstract class FuzzTarget
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new Targets.RequestHeadTarget(), new Targets.ResponseHeadTarget(), new Targets.ChunkedBodyTarget(),
        new Targets.ProxyProtocolTarget(), new Targets.PathTarget(), new Targets.IdentityTarget(),
        new Targets.CsvTarget(), new Targets.TlsTarget(),
        new Targets.ConfigTarget("config-yaml", "penstock.yaml"),
        new Targets.ConfigTarget("config-json", "penstock.json"),
    ];

    public abstract string Name { get; }

    /// <summary>Where the search begins besides the corpus.</summary>
    public abstract IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Words of the input's language, which the fuzzer inserts anywhere.</summary>
    public abstract IReadOnlyList<byte[]> Tokens { get; }

    /// <summary>Longest input; a little past the limits of what is tested.</summary>
    public abstract int MaxBytes { get; }

    /// <summary>Runs one input. The same input always has the same outcome: random choices are seeded with the input.
    /// </summary>
    /// <returns>The behaviour, in words; an input with a new word is kept. The number of words must be bounded.
    /// </returns>
    /// <exception cref="InvariantException">The input violates an invariant.</exception>
    public abstract HashSet<string> Run(byte[] input);

    public static void Require(bool holds, string invariant, FormattableString detail)
    {
        if (!holds)
        {
            throw new InvariantException(invariant, FormattableString.Invariant(detail));
        }
    }

    /// <summary>Rounds numbers, so that there are few words: 0, 1, 2, 4, 8, …</summary>
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
