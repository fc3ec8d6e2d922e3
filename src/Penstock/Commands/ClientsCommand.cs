using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Penstock.Commands;

/// <summary><c>penstock clients</c>: shows and changes the clients of a running Penstock.</summary>
internal sealed partial class ClientsCommand
{
    public const long MaxCapacity = 1_000_000_000;

    private readonly Terminal _terminal;
    private readonly Argument<string> _id = new("ID")
    {
        HelpName = "ID", // without it, the help would ask the completion source
        Description = "The client's id, such as user1 or 123.5.6.7:890",
        Validators = { static result => RejectBadId(result) },
    };
    private readonly AdminAccess _api;

    private ClientsCommand(Terminal terminal)
    {
        (_terminal, _api) = (terminal, new(terminal));
        _id.CompletionSources.Add(context => ApiCompletions.Clients(_api, context));
        _name.CompletionSources.Add(context => ApiCompletions.Plans(_api, context));
        _plan.CompletionSources.Add(context => ApiCompletions.Plans(_api, context));
    }

    public static Command Create(Terminal terminal)
    {
        var self = new ClientsCommand(terminal);
        var command = new PenstockCommand("clients", "Show and change the clients of a running Penstock through its "
            + "admin API.",
            "penstock clients list",
            "penstock clients set user1 --capacity 100 --rate 10/s",
            "penstock clients set user1 --plan gold",
            "penstock clients get user1 --admin http://10.0.0.5:9800 --json",
            "penstock clients export clients.csv")
        {
            self.List(), self.Get(), self.Set(), self.Delete(), self.Reset(), self.Import(), self.Export(),
        };
        self._api.AddTo(command);
        return command;
    }

    private PenstockCommand List()
    {
        var command = new PenstockCommand("list", "List the registered clients.",
            "penstock clients list --json | jq length") { _api.Json, _api.Json.Format };
        command.SetAction(parse => AskAsync(parse, admin => admin.ListAsync(), Print));
        return command;
    }

    private PenstockCommand Get()
    {
        var command = new PenstockCommand("get", "Show one client and its current tokens.",
            "penstock clients get user1") { _id, _api.Json, _api.Json.Format };
        command.SetAction(parse => AskAsync(parse, admin =>
            admin.SendAsync(HttpMethod.Get, AdminClient.PathOf(parse.GetRequiredValue(_id)))));
        return command;
    }

    private PenstockCommand Delete()
    {
        var command = new PenstockCommand("delete", "Delete a client; the limit of the route applies to it again.",
            "penstock clients delete user1") { _id, _api.Json, _api.Json.Format };
        command.SetAction(parse => DeleteAsync(
            parse, AdminClient.PathOf(parse.GetRequiredValue(_id)), parse.GetRequiredValue(_id)));
        return command;
    }

    private PenstockCommand Reset()
    {
        var command = new PenstockCommand("reset", "Fill a client's bucket.",
            "penstock clients reset user1") { _id, _api.Json, _api.Json.Format };
        command.SetAction(parse => AskAsync(parse, admin =>
            admin.SendAsync(HttpMethod.Post, AdminClient.PathOf(parse.GetRequiredValue(_id)) + "/reset")));
        return command;
    }

    /// <param name="print">Null: the answer is a client.</param>
    private Task<int> AskAsync(ParseResult parse, Func<AdminClient, Task<AdminAnswer>> ask,
        Action<JsonNode?>? print = null) => _api.WithAsync(parse, async admin =>
        {
            AdminAnswer answer = await ask(admin);
            if (answer.Fault is not null)
            {
                return _terminal.Fail(answer.Fault);
            }

            if (print is null && !AdminClient.IsClient(answer.Body))
            {
                return _terminal.Fail(admin.NotPenstock("answered no client"));
            }

            int code = _api.Print(parse, answer.Body, () => (print ?? Print)(answer.Body));
            Warn(answer);
            return code;
        });

    private Task<int> DeleteAsync(ParseResult parse, string path, string name) => AskAsync(parse, async admin =>
        await admin.SendAsync(HttpMethod.Delete, path) with { Body = new JsonObject { ["deleted"] = name } },
        _ => _terminal.Out.WriteLine($"deleted {name}"));

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

    private void Print(JsonNode? body) => TextTable.Write(_terminal,
        [
            new("CLIENT"), new("CAPACITY", true), new("RATE", true), new("TOKENS", true), new("FULL IN", true, true),
            new("PLAN", true, true), new("ACCESS", true, true), new("LIMITS", true, true),
        ],
        [.. (body is JsonArray list ? [.. list] : (JsonNode?[])[body]).Select(Cells)]);

    private static string[] Cells(JsonNode? client) =>
    [
        client?["client_id"]?.ToString() ?? "?",
        .. NumberCells(client, client?["access"] is null ? "?" : "-"),
        client?["current_tokens"]?.AsValue().TryGetValue(out double tokens) is true
            ? tokens.ToString("0.##", CultureInfo.InvariantCulture) : client?["access"] is null ? "?" : "-",
        client?["full_in_seconds"]?.AsValue().TryGetValue(out double seconds) is true
            ? Lasting.Of(seconds) : "",
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
