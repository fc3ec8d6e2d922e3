using System.Text;
using Penstock.Commands;

namespace Penstock.UnitTests.Commands;

/// <summary>A command run in this process, with a console of its own.</summary>
internal sealed record CommandRun(int Code, string Out, string Error)
{
    public static Task<CommandRun> Of(params string[] args) => Of(_ => null, args);

    public static async Task<CommandRun> Of(Func<string, string?> environment, params string[] args)
    {
        (StringWriter output, StringWriter error) = (new StringWriter(), new StringWriter());
        var terminal = new Terminal(output, error) { Environment = environment, ErrorIsTerminal = true };
        int code = await RootCommandLine.RunAsync(args, terminal);
        return new(code, output.ToString(), error.ToString());
    }

    /// <summary>Runs a server until it has printed its banner, looks at it, and stops it.</summary>
    public static async Task<CommandRun> OfServer(string[] args, Func<string, Task>? whileItRuns = null)
    {
        using var stop = new CancellationTokenSource();
        (BannerWriter output, StringWriter error) = (new BannerWriter(), new StringWriter());
        var terminal = new Terminal(output, error) { Interactive = true, ErrorIsTerminal = true };
        Task<int> run = Task.Run(() => RootCommandLine.RunAsync(args, terminal, stop.Token));
        await Task.WhenAny(output.Complete, run).WaitAsync(TimeSpan.FromSeconds(30));
        try
        {
            if (!run.IsCompleted && whileItRuns is not null)
            {
                await whileItRuns(await output.Complete);
            }
        }
        finally
        {
            await stop.CancelAsync();
        }
        return new(await run.WaitAsync(TimeSpan.FromSeconds(30)), output.ToString(), error.ToString());
    }

    private sealed class BannerWriter : StringWriter
    {
        private readonly TaskCompletionSource<string> _complete =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<string> Complete => _complete.Task;

        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value == "Ctrl+C to stop")
            {
                _complete.TrySetResult(ToString());
            }
        }
    }
}
