using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock clients</c>: shows and changes the clients of a running Penstock.</summary>
internal sealed partial class ClientsCommand
{
    public const long MaxCapacity = 1_000_000_000;

    private const string DefaultAdmin = "http://127.0.0.1:9800";
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // for a terminal or jq, never for a page
    };

    private readonly Terminal _terminal;
    private readonly Argument<string> _id = new("ID")
    {
        Description = "The client's id, such as user1 or 123.5.6.7:890",
        Validators = { static result => RejectBadId(result) },
    };
    private readonly Option<Uri> _admin;
    private readonly Option<string> _token = new("--token")
    {
        HelpName = "TOKEN",
        Description = "The admin API's token [default: $PENSTOCK_TOKEN]",
        Recursive = true,
    };
    private readonly Option<string> _format = OptionSyntax.OneOf("--format", "The output format", "text", "json");

    private ClientsCommand(Terminal terminal)
    {
        _terminal = terminal;
        _admin = OptionSyntax.Read<Uri>("--admin", "URL",
            $"The address of the admin API [default: $PENSTOCK_ADMIN, otherwise {DefaultAdmin}]", TryUrl);
        _admin.Recursive = true;
    }

    public static Command Create(Terminal terminal)
    {
        var self = new ClientsCommand(terminal);
        return new PenstockCommand("clients", "Show and change the clients of a running Penstock through its admin "
            + "API.",
            "penstock clients list",
            "penstock clients set user1 --capacity 100 --rate 10/s",
            "penstock clients set user1 --plan gold",
            "penstock clients get user1 --admin http://10.0.0.5:9800 --format json",
            "penstock clients export clients.csv")
        {
            self._admin, self._token, self.List(), self.Get(), self.Set(), self.Delete(), self.Reset(),
            self.Import(), self.Export(),
        };
    }

    private PenstockCommand List()
    {
        var command = new PenstockCommand("list", "List the registered clients.",
            "penstock clients list --format json | jq length") { _format };
        command.SetAction(parse => AskAsync(parse, admin => admin.ListAsync(), Print));
        return command;
    }

    private PenstockCommand Get()
    {
        var command = new PenstockCommand("get", "Show one client and its current tokens.",
            "penstock clients get user1") { _id, _format };
        command.SetAction(parse => AskAsync(parse, admin =>
            admin.SendAsync(HttpMethod.Get, AdminClient.PathOf(parse.GetRequiredValue(_id)))));
        return command;
    }

    private PenstockCommand Delete()
    {
        var command = new PenstockCommand("delete", "Delete a client; the limit of the route applies to it again.",
            "penstock clients delete user1") { _id, _format };
        command.SetAction(parse => AskAsync(parse,
            admin => admin.SendAsync(HttpMethod.Delete, AdminClient.PathOf(parse.GetRequiredValue(_id))),
            (_, json) => _terminal.Out.WriteLine(json
                ? new JsonObject { ["deleted"] = parse.GetValue(_id) }.ToJsonString(Json)
                : $"deleted {parse.GetValue(_id)}")));
        return command;
    }

    private PenstockCommand Reset()
    {
        var command = new PenstockCommand("reset", "Fill a client's bucket.",
            "penstock clients reset user1") { _id, _format };
        command.SetAction(parse => AskAsync(parse, admin =>
            admin.SendAsync(HttpMethod.Post, AdminClient.PathOf(parse.GetRequiredValue(_id)) + "/reset")));
        return command;
    }

    /// <param name="print">Null: the answer is a client.</param>
    private async Task<int> AskAsync(
        ParseResult parse, Func<AdminClient, Task<AdminAnswer>> ask, Action<JsonNode?, bool>? print = null)
    {
        if (Connect(parse) is not { } connected)
        {
            return ExitCode.Usage;
        }

        using AdminClient admin = connected;
        AdminAnswer answer = await ask(admin);
        if (answer.Fault is not null)
        {
            return _terminal.Fail(answer.Fault);
        }

        if (print is null && !AdminClient.IsClient(answer.Body))
        {
            return _terminal.Fail(admin.NotPenstock("no client"));
        }

        (print ?? Print)(answer.Body, parse.GetValue(_format) == "json");
        Warn(answer);
        return ExitCode.Ok;
    }

    private void Warn(AdminAnswer answer)
    {
        foreach (JsonNode? warning in answer.Body is JsonObject body && body["warnings"] is JsonArray all ? all : [])
        {
            _terminal.Error.WriteLine($"warning: {warning}");
        }
    }

    /// <summary>Rejects the empty id, whose path would be that of all clients.</summary>
    private static void RejectBadId(ArgumentResult result)
    {
        if (result.Tokens.Count > 0 && result.Tokens[0].Value.Length == 0)
        {
            result.AddError("ID: must not be empty");
        }
    }

    /// <returns>Null if $PENSTOCK_ADMIN or the token is invalid; the error is printed.</returns>
    private AdminClient? Connect(ParseResult parse, int timeoutSeconds = 10)
    {
        if (!ConfigValue.TryToken(parse.GetValue(_token) ?? _terminal.Environment("PENSTOCK_TOKEN") ?? "",
            out string? token, out string? tokenError))
        {
            _terminal.Fail($"{(parse.GetValue(_token) is null ? "$PENSTOCK_TOKEN" : "--token")}: {tokenError}",
                ExitCode.Usage);
            return null;
        }
        if (parse.GetValue(_admin) is not { } url)
        {
            string text = _terminal.Environment("PENSTOCK_ADMIN")?.Trim() is { Length: > 0 } set ? set : DefaultAdmin;
            if (!TryUrl(text, out url, out string? error))
            {
                _terminal.Fail($"$PENSTOCK_ADMIN: {error}", ExitCode.Usage);
                return null;
            }
        }
        return new AdminClient(url, token, timeoutSeconds);
    }

    private static bool TryUrl(string text, out Uri url, out string error)
    {
        error = $"'{text}' is not a URL: write http://host:port";
        return Uri.TryCreate(text, UriKind.Absolute, out url!) && url.Scheme is "http" or "https";
    }

    private void Print(JsonNode? body, bool json)
    {
        if (json)
        {
            _terminal.Out.WriteLine(body?.ToJsonString(Json) ?? "null");
            return;
        }
        JsonNode?[] clients = body is JsonArray list ? [.. list] : [body];
        string[][] rows = [["CLIENT", "CAPACITY", "RATE", "TOKENS", "FULL IN", "PLAN", "ACCESS", "LIMITS"],
            .. clients.Select(Cells)];
        PrintTable(rows, 4);
    }

    /// <param name="rows">The first row has the names of the columns.</param>
    /// <param name="needed">How many columns are always shown; further columns are left out if they are empty.</param>
    private void PrintTable(string[][] rows, int needed)
    {
        int[] shown = [.. Enumerable.Range(0, rows[0].Length)
            .Where(column => column < needed || rows.Skip(1).Any(row => row[column].Length > 0))];
        int idWidth = rows.Max(row => row[0].Length);
        foreach (string[] row in rows)
        {
            _terminal.Out.WriteLine(
                row[0].PadRight(idWidth) + string.Concat(shown.Skip(1).Select(column => $"  {row[column],10}")));
        }
    }

    private static string[] Cells(JsonNode? client) =>
    [
        client?["client_id"]?.ToString() ?? "?",
        .. NumberCells(client, client?["access"] is null ? "?" : "-"),
        client?["current_tokens"]?.AsValue().TryGetValue(out double tokens) is true
            ? tokens.ToString("0.##", CultureInfo.InvariantCulture) : client?["access"] is null ? "?" : "-",
        client?["full_in_seconds"]?.AsValue().TryGetValue(out double seconds) is true
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.##} s") : "",
        client?["plan"]?.ToString() ?? "",
        client?["access"]?.ToString() ?? "",
        client?["limits"] is JsonObject limits ? string.Join(' ', limits.Select(static own =>
            $"{own.Key}={string.Join(',', NumberCells(own.Value, "?"))}")) : "",
    ];

    private static string[] NumberCells(JsonNode? of, string otherwise) =>
    [
        of?["capacity"]?.ToString() ?? otherwise,
        of?["rate_per_sec"]?.AsValue().TryGetValue(out double rate) is true ? Banner.RateText(rate) : otherwise,
    ];
}
