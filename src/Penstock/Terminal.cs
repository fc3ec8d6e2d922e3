namespace Penstock;

/// <summary>Where a command reads and writes, and its environment variables; tests replace it.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error)
{
    /// <summary>A person reads <see cref="Out"/>: banners and tables instead of log lines.</summary>
    public bool Interactive { get; init; }
    public bool ErrorIsTerminal { get; init; }
    public bool Color { get; init; }

    /// <summary>A person reads <see cref="Error"/> on a terminal that can redraw a line.</summary>
    public bool ShowsProgress { get; init; }
    public Func<string, string?> Environment { get; init; } = _ => null;

    /// <summary>For piped files: bytes, independent of the locale.</summary>
    public Func<Stream> OpenInput { get; init; } = Console.OpenStandardInput;
    public Func<Stream> OpenOutput { get; init; } = Console.OpenStandardOutput;

    public static Terminal OfProcess()
    {
        bool dumb = System.Environment.GetEnvironmentVariable("TERM") is "dumb";
        bool plain = dumb || System.Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        return new(Console.Out, Console.Error)
        {
            Interactive = !Console.IsOutputRedirected,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Color = !plain && !Console.IsOutputRedirected,
            ShowsProgress = !dumb && !Console.IsErrorRedirected,
            Environment = System.Environment.GetEnvironmentVariable,
        };
    }

    /// <summary>Reports an expected failure in one line: the cause and what to do.</summary>
    public int Fail(string message, int exitCode = ExitCode.Failure)
    {
        Error.WriteLine("error: " + message);
        return exitCode;
    }

    /// <summary>Text from clients or files: its control characters must not reach the terminal.</summary>
    public static string Plain(string text) => text.Any(char.IsControl)
        ? string.Concat(text.Select(static c => char.IsControl(c) ? '?' : c)) : text;

    public string Strong(string text) => Color ? $"\e[1m{text}\e[0m" : text;

    public string Faint(string text) => Color ? $"\e[2m{text}\e[0m" : text;
}
