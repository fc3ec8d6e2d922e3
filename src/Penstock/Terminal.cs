namespace Penstock;

/// <summary>Where a command reads and writes, and its environment variables; tests replace it.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error)
{
    /// <summary>A person reads <see cref="Out"/>: banners and tables instead of log lines.</summary>
    public bool Interactive { get; init; }
    public bool ErrorIsTerminal { get; init; }
    public bool Color { get; init; }
    public Func<string, string?> Environment { get; init; } = _ => null;

    /// <summary>For piped files: bytes, independent of the locale.</summary>
    public Func<Stream> OpenInput { get; init; } = Console.OpenStandardInput;
    public Func<Stream> OpenOutput { get; init; } = Console.OpenStandardOutput;

    public static Terminal OfProcess()
    {
        bool plain = System.Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 }
            || System.Environment.GetEnvironmentVariable("TERM") is "dumb";
        return new(Console.Out, Console.Error)
        {
            Interactive = !Console.IsOutputRedirected,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Color = !plain && !Console.IsOutputRedirected,
            Environment = System.Environment.GetEnvironmentVariable,
        };
    }

    /// <summary>Reports an expected failure in one line: the cause and what to do.</summary>
    public int Fail(string message, int exitCode = ExitCode.Failure)
    {
        Error.WriteLine("error: " + message);
        return exitCode;
    }

    public string Strong(string text) => Color ? $"\e[1m{text}\e[0m" : text;

    public string Faint(string text) => Color ? $"\e[2m{text}\e[0m" : text;
}
