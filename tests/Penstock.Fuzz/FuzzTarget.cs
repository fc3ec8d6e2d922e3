using System.Text;

namespace Penstock.Fuzz;

/// <summary>A promise was broken; the message says which.</summary>
internal sealed class BrokenPromiseException(string message) : Exception(message);

/// <summary>Something that must keep its promises whatever it is given.</summary>
internal abstract class FuzzTarget
{
    public abstract string Name { get; }

    /// <summary>Where to start from.</summary>
    public abstract IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Pieces that random octets would hardly ever hit.</summary>
    public abstract IReadOnlyList<byte[]> Words { get; }

    /// <summary>Runs one input.</summary>
    /// <returns>What kind of outcome it was: an input with a new kind is worth keeping.</returns>
    /// <exception cref="BrokenPromiseException">And any other exception is a finding, too.</exception>
    public abstract long Run(byte[] input, Random random);

    public static IReadOnlyList<FuzzTarget> All { get; } =
        [new RequestTarget(), new ResponseTarget(), new ChunkedTarget(), new ConfigTarget()];

    protected static void Promise(bool kept, string what)
    {
        if (!kept)
        {
            throw new BrokenPromiseException(what);
        }
    }

    protected static byte[][] Octets(params string[] texts) => [.. texts.Select(Encoding.Latin1.GetBytes)];
}
