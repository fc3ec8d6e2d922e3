using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Control.Config;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Penstock.Commands;

/// <summary><c>penstock top</c>: a running Penstock, live on a terminal.</summary>
internal sealed class TopCommand
{
    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(2);

    /// <summary>How often it looks for the key that ends it.</summary>
    private static readonly TimeSpan KeyEvery = TimeSpan.FromMilliseconds(100);

    private readonly Terminal _terminal;
    private readonly AdminAccess _api;
    private readonly Option<TimeSpan> _interval = OptionSyntax.Read<TimeSpan>("--interval", "TIME",
        "The time between two readings, whose difference makes the rates [default: 2s]", ConfigValue.TryDuration);
    private readonly Option<int> _limit =
        OptionSyntax.Number("--limit", "N", "The maximum number of rows of each table", 1, 1000).OrElse(10);
    private readonly Option<bool> _once = new("--once")
    {
        Description = "Print one frame and exit, as with --json or when the output is not a terminal",
    };

    private TopCommand(Terminal terminal) => (_terminal, _api) = (terminal, new(terminal));

    public static Command Create(Terminal terminal)
    {
        var self = new TopCommand(terminal);
        var command = new PenstockCommand("top", "Watch a running Penstock on the terminal: rates of requests, "
            + "backends, limits, and the clients with the most rejections and the emptiest buckets. q or Ctrl+C ends "
            + "it.",
            "penstock top",
            "penstock top --once --interval 3s | grep -w down",
            "penstock top --json | jq .requests_per_sec")
        { self._interval, self._limit, self._once, self._api.Json };
        self._api.AddTo(command);
        command.SetAction((parse, stop) => self._api.WithAsync(parse, admin => self.RunAsync(parse, admin, stop)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult parse, AdminClient admin, CancellationToken stop)
    {
        TimeSpan interval = parse.GetResult(_interval) is null ? DefaultInterval : parse.GetValue(_interval);
        int limit = parse.GetValue(_limit);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var signals = new StopSignals(NullLogger.Instance, ended.Token)
        {
            HangUp = ended.Cancel, // the terminal was closed
        };
        (TopReading? reading, string? fault) = await TopReading.ReadAsync(admin, limit);
        if (reading is null)
        {
            return _terminal.Fail(fault!);
        }

        if (parse.GetValue(_once) || _api.Json.IsIn(parse) || !_terminal.Interactive || !_terminal.CanRedraw)
        {
            await Task.WhenAny(signals.Asked, Task.Delay(interval, CancellationToken.None));
            (TopReading? next, fault) = await TopReading.ReadAsync(admin, limit);
            if (next is null)
            {
                return _terminal.Fail(fault!);
            }

            var frame = new TopFrame(reading, next, limit);
            return _api.Print(parse, frame.Json(), () => Write(frame));
        }

        IAnsiConsole console = _terminal.Redrawn(_terminal.Out);
        console.Write(new ControlCode("\e[?1049h\e[H")); // the alternate screen, so that the shell's text comes back
        try
        {
            await console.Live(Text.Empty).StartAsync(live => WatchAsync(admin, live, reading, interval, limit,
                signals.Asked));
            return ExitCode.Ok;
        }
        finally
        {
            console.Write(new ControlCode("\e[?1049l"));
        }
    }

    /// <summary>Draws a frame after each reading. While the API does not answer, the last frame stays with the cause.
    /// </summary>
    private async Task WatchAsync(AdminClient admin, LiveDisplayContext live, TopReading reading, TimeSpan interval,
        int limit, Task stopped)
    {
        var frame = new TopFrame(reading, reading, limit);
        live.UpdateTarget(Screen(frame, null));
        while (!await EndsAsync(interval, stopped))
        {
            (TopReading? next, string? fault) = await TopReading.ReadAsync(admin, limit);
            if (next is not null)
            {
                frame = new(reading, next, limit);
                reading = next;
            }

            live.UpdateTarget(Screen(frame, fault));
        }
    }

    /// <summary>Waits until the next reading.</summary>
    /// <returns>True if the operator ends the command before that.</returns>
    private async Task<bool> EndsAsync(TimeSpan interval, Task stopped)
    {
        long until = Environment.TickCount64 + (long)interval.TotalMilliseconds;
        while (!stopped.IsCompleted && !_terminal.WantsToQuit())
        {
            if (Environment.TickCount64 >= until)
            {
                return false;
            }

            await Task.WhenAny(stopped, Task.Delay(KeyEvery < interval ? KeyEvery : interval, CancellationToken.None));
        }

        return true;
    }

    private void Write(TopFrame frame)
    {
        foreach (string line in frame.Lines())
        {
            _terminal.Out.WriteLine(Terminal.Plain(line));
        }

        foreach (TopTable table in frame.Tables())
        {
            _terminal.Out.WriteLine();
            TextTable.Write(_terminal, table.Columns, table.Rows);
        }
    }

    private static Rows Screen(TopFrame frame, string? fault)
    {
        List<IRenderable> parts = [.. frame.Lines().Select(static (line, i) => new Text(Terminal.Plain(line),
            i == 0 ? new Style(decoration: Decoration.Bold)
                : line.StartsWith("warning", StringComparison.Ordinal) ? Color.Yellow : Style.Plain))];
        if (fault is not null)
        {
            parts.Add(new Text(Terminal.Plain(fault), Color.Red));
        }

        foreach (TopTable table in frame.Tables())
        {
            parts.Add(Text.Empty);
            parts.Add(DrawnTable(table));
        }

        parts.Add(new Text("\nq ends", new Style(decoration: Decoration.Dim)));
        return new Rows(parts);
    }

    private static Table DrawnTable(TopTable from)
    {
        var table = new Table { Border = TableBorder.None };
        int[] shown = TextTable.Shown(from.Columns, from.Rows);
        foreach (Column column in shown.Select(i => from.Columns[i]))
        {
            table.AddColumn(new TableColumn(new Text(column.Name, new Style(decoration: Decoration.Bold)))
            {
                Alignment = column.Right ? Justify.Right : Justify.Left,
                NoWrap = !column.Optional, // the last one, such as the cause, takes what is left of the width
                Padding = new Padding(0, 0, 2, 0),
            });
        }

        foreach (string[] row in from.Rows)
        {
            table.AddRow(shown.Select(i => new Text(Terminal.Plain(row[i]),
                from.Columns[i].Name == "STATUS" ? StyleOf(row[i]) : Style.Plain)));
        }

        return table;
    }

    private static Style StyleOf(string status) => status switch
    {
        "up" => Color.Green,
        "down" or "ejected" => Color.Red,
        "drain" or "drained" or "maintenance" => Color.Yellow,
        _ => Style.Plain,
    };
}
