namespace Penstock.Fuzz;

/// <summary>Mutates what was interesting before. There is no instrumentation of branches (no such package restores
/// everywhere this is built), so "interesting" is an outcome of a new kind.</summary>
internal sealed class Fuzzer(FuzzTarget target, int seed)
{
    private const int MaxInputBytes = 4096;
    private const int MaxCorpus = 5000;

    private readonly Random _random = new(seed);
    private readonly List<byte[]> _corpus = [.. target.Seeds];
    private readonly HashSet<long> _kinds = [];

    public int CorpusSize => _corpus.Count;
    public long Runs { get; private set; }

    /// <returns>An input that broke a promise, or null.</returns>
    public (byte[] Input, Exception Cause)? Run(Func<bool> goOn)
    {
        foreach (byte[] known in _corpus.ToArray())
        {
            if (Try(known) is { } finding)
            {
                return finding;
            }
        }
        while (goOn())
        {
            byte[] input = Mutate();
            if (Try(input) is { } finding)
            {
                return finding;
            }
        }
        return null;
    }

    private (byte[] Input, Exception Cause)? Try(byte[] input)
    {
        Runs++;
        try
        {
            if (_kinds.Add(target.Run(input, _random)) && _corpus.Count < MaxCorpus)
            {
                _corpus.Add(input);
            }
            return null;
        }
        catch (Exception cause) when (cause is not OutOfMemoryException)
        {
            return (input, cause);
        }
    }

    private byte[] Mutate()
    {
        var input = new List<byte>(_corpus[_random.Next(_corpus.Count)]);
        for (int i = _random.Next(1, 6); i > 0; i--)
        {
            int at = _random.Next(input.Count + 1);
            int length = Math.Min(_random.Next(1, 17), input.Count - at);
            switch (_random.Next(8))
            {
                case 0 when at < input.Count:
                    input[at] ^= (byte)(1 << _random.Next(8));
                    break;
                case 1 when at < input.Count:
                    input[at] = (byte)_random.Next(256);
                    break;
                case 2:
                    input.RemoveRange(at, length);
                    break;
                case 3:
                    input.InsertRange(at, input.GetRange(at, length));
                    break;
                case 4:
                    byte[] other = _corpus[_random.Next(_corpus.Count)];
                    input.RemoveRange(at, input.Count - at);
                    input.AddRange(other.AsSpan(_random.Next(other.Length + 1)));
                    break;
                case 5:
                    input.InsertRange(at, Enumerable.Repeat((byte)_random.Next(256), _random.Next(300)));
                    break;
                default:
                    input.InsertRange(at, target.Words[_random.Next(target.Words.Count)]);
                    break;
            }
        }
        return [.. input.Take(MaxInputBytes)];
    }
}
