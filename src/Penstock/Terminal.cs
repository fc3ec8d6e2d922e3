using Spectre.Console;

namespace Penstock;

/// <summary>Where a command reads and writes, and its environment variables; tests replace it.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error)
{
    /// <summary>A person reads <see cref="Out"/>: banners and tables instead of log lines.</summary>
    public bool Interactive { get; init; }
    public bool ErrorIsTerminal { get; init; }
    public bool Color { get; init; }

    /// <summary>If this is a terminal, it can move its cursor: live views and progress bars.</summary>
    public bool CanRedraw { get; init; }

    /// <summary>Whether the person has pressed q.</summary>
    public Func<bool> WantsToQuit { get; init; } = static () => false;
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
            CanRedraw = !dumb,
            WantsToQuit = static () => !Console.IsInputRedirected && Console.KeyAvailable
                && Console.ReadKey(intercept: true).Key == ConsoleKey.Q,
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

    /// <summary>One of the two writers, for what is drawn again and again.</summary>
    public IAnsiConsole Redrawn(TextWriter writer) => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = AnsiSupport.Yes,
        ColorSystem = Color ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
        Interactive = InteractionSupport.Yes,
        Out = new AnsiConsoleOutput(writer),
        Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
    });

    public string Strong(string text) => Color ? $"\e[1m{text}\e[0m" : text;

    public string Faint(string text) => Color ? $"\e[2m{text}\e[0m" : text;
}
