using Spectre.Console;

namespace Penstock.Commands;

/// <summary>Shows how far a long work on a stream is, on standard error if a person sees it there.</summary>
internal static class ProgressBar
{
    /// <param name="what">What is done, such as <c>importing clients.csv</c>.</param>
    /// <param name="totalBytes">Null: unknown.</param>
    /// <param name="work">It gets the action to call with each number of bytes that are done.</param>
    public static Task<T> ShowAsync<T>(
        Terminal terminal, string what, long? totalBytes, Func<Action<long>, Task<T>> work)
    {
        if (!terminal.ErrorIsTerminal || !terminal.CanRedraw)
        {
            return work(static _ => { });
        }

        ProgressColumn[] columns = totalBytes is null
            ? [new SpinnerColumn(), new TaskDescriptionColumn(), new TransferSpeedColumn(), new ElapsedTimeColumn()]
            : [new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()];
        return terminal.Redrawn(terminal.Error).Progress().Columns(columns).AutoClear(true).StartAsync(context =>
        {
            ProgressTask task = context.AddTask(
                Markup.Escape(Terminal.Plain(what)), maxValue: totalBytes ?? double.MaxValue);
            task.IsIndeterminate = totalBytes is null;
            return work(bytes => task.Increment(bytes));
        });
    }

    /// <summary>The length of a file; null for pipes.</summary>
    public static long? LengthOf(Stream stream) => stream.CanSeek ? stream.Length : null;
}
