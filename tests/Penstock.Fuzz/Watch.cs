namespace Penstock.Fuzz;

/// <summary>Ends the process if an input does not end, after saving the input.</summary>
internal sealed class Watch : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(20);

    private readonly Fuzzer _fuzzer;
    private readonly Action<byte[]> _save;
    private readonly Timer _timer;
    private byte[]? _seen;

    public Watch(Fuzzer fuzzer, Action<byte[]> save)
    {
        _fuzzer = fuzzer;
        _save = save;
        _timer = new Timer(_ => Look(), null, Period, Period);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        byte[] current = _fuzzer.Current;
        if (current == _seen)
        {
            Console.WriteLine("  FINDING an input does not end");
            _save(current);
            Environment.Exit(1);
        }
        _seen = current;
    }
}
