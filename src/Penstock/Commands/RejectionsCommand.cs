using System.CommandLine;
using System.Globalization;
using Penstock.Control.Admin;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Commands;

/// <summary><c>penstock rejections</c>: whom the limits of a running Penstock rejected.</summary>
internal static class RejectionsCommand
{
    private static readonly Column[] LastColumns =
    [
        new("TIME"), new("CLIENT"), new("IDENTIFIED BY"), new("LIMIT"), new("TIMES", true), new("TOKENS", true),
        new("COST", true), new("RETRY AFTER", true), new("ROUTE"), new("REQUEST ID"), new("DRY RUN", Optional: true),
    ];

    private static readonly Column[] TopColumns =
        [new("CLIENT"), new("IDENTIFIED BY"), new("LIMIT"), new("REJECTED", true), new("ERROR", true), new("LAST")];

    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        Option<int> limit = OptionSyntax.Number("--limit", "N", "How many to list at most", 1, 1000).OrElse(20);
        var top = new Option<bool>("--top")
        {
            Description = "List the clients with the most rejections since the start instead of the last rejections",
        };
        var command = new PenstockCommand("rejections", "List the last requests that limits rejected, the newest "
            + "first.",
            "penstock rejections",
            "penstock rejections --top --limit 5",
            "penstock rejections --json | jq -r '.items[].client' | sort | uniq -c")
        { limit, top, api.Json };
        api.AddTo(command);
        command.SetAction(parse => parse.GetValue(top)
            ? api.AskAsync(parse, HttpMethod.Get, $"/rejections/top?limit={parse.GetValue(limit)}",
                AdminJson.Answers.LimitedClientPage,
                page => TextTable.Write(terminal, TopColumns, [.. page.Items.Select(TopCells)]))
            : api.AskAsync(parse, HttpMethod.Get, $"/rejections?limit={parse.GetValue(limit)}",
                AdminJson.Answers.RejectionPage,
                page => TextTable.Write(terminal, LastColumns, [.. page.Items.Select(LastCells)])));
        return command;
    }

    public static string TimeText(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string[] LastCells(Rejection one) =>
    [
        TimeText(one.Time), one.Client, one.IdentifiedBy, one.Limit, $"{one.Times}", $"{one.Tokens}", $"{one.Cost}",
        one.RetryAfter == 0 ? "-" : Lasting.Of(one.RetryAfter), one.Route, one.RequestId, one.DryRun ? "dry run" : "",
    ];

    private static string[] TopCells(LimitedClient one) =>
        [one.Client, one.IdentifiedBy, one.Limit, $"{one.Rejected}", $"{one.Error}", TimeText(one.Last)];
}
