using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary>What all commands share that call the admin API: the options <c>--admin</c>, <c>--token</c> and
/// <c>--json</c>, the connection, and how an answer is printed.</summary>
internal sealed class AdminAccess
{
    private const string DefaultUrl = "http://127.0.0.1:9800";
    private const int TimeoutSeconds = 10;

    private readonly Option<Uri> _url;
    private readonly Option<string> _token = new("--token")
    {
        HelpName = "TOKEN",
        Description = "The admin API's token [default: $PENSTOCK_TOKEN]",
        Recursive = true,
    };

    public AdminAccess(Terminal terminal)
    {
        Terminal = terminal;
        _url = OptionSyntax.Read<Uri>("--admin", "URL",
            $"The address of the admin API [default: $PENSTOCK_ADMIN, otherwise {DefaultUrl}]", AdminClient.TryUrl);
        _url.Recursive = true;
    }

    public Terminal Terminal { get; }

    public JsonOption Json { get; } = new();

    /// <summary>Adds <c>--admin</c> and <c>--token</c>, also for the command's own commands.</summary>
    public void AddTo(Command command)
    {
        command.Add(_url);
        command.Add(_token);
    }

    /// <returns>Null, and why, if $PENSTOCK_ADMIN or the token is invalid.</returns>
    public AdminClient? TryConnect(ParseResult parse, double timeoutSeconds, out string error)
    {
        string? given = parse.GetValue(_token);
        if (!ConfigValue.TryToken(given ?? Terminal.Environment("PENSTOCK_TOKEN") ?? "", out string? token, out error))
        {
            error = $"{(given is null ? "$PENSTOCK_TOKEN" : "--token")}: {error}";
            return null;
        }

        if (parse.GetValue(_url) is not { } url)
        {
            string text = Terminal.Environment("PENSTOCK_ADMIN")?.Trim() is { Length: > 0 } set ? set : DefaultUrl;
            if (!AdminClient.TryUrl(text, out url, out error))
            {
                error = $"$PENSTOCK_ADMIN: {error}";
                return null;
            }
        }

        return new AdminClient(url, token, timeoutSeconds);
    }

    /// <summary>Asks the API and prints its answer.</summary>
    /// <param name="print">Prints it as text.</param>
    public Task<int> AskAsync<T>(ParseResult parse, HttpMethod method, string path, JsonTypeInfo<T> type,
        Action<T> print, JsonObject? body = null) where T : class => WithAsync(parse, async admin =>
            await TryAskAsync(admin, method, path, type, body) is not { } answer ? ExitCode.Failure
                : Print(parse, answer.Body, () => print(answer.Value)));

    /// <summary>Asks the API within a command that asks more than once.</summary>
    /// <returns>Null if there was no answer of this form; the error is printed.</returns>
    public async Task<(T Value, JsonNode? Body)?> TryAskAsync<T>(AdminClient admin, HttpMethod method, string path,
        JsonTypeInfo<T> type, JsonObject? body = null) where T : class
    {
        (T? value, JsonNode? answer, string? fault) = await admin.AskAsync(method, path, type, body);
        if (value is not null)
        {
            return (value, answer);
        }

        Terminal.Fail(fault!);
        return null;
    }

    /// <summary>Calls the API several times.</summary>
    public async Task<int> WithAsync(ParseResult parse, Func<AdminClient, Task<int>> run,
        double timeoutSeconds = TimeoutSeconds)
    {
        using AdminClient? admin = TryConnect(parse, timeoutSeconds, out string error);
        return admin is null ? Terminal.Fail(error, ExitCode.Usage) : await run(admin);
    }

    /// <summary>Prints an answer as JSON or as text.</summary>
    public int Print(ParseResult parse, JsonNode? body, Action print)
    {
        if (Json.IsIn(parse))
        {
            Terminal.Out.WriteLine(JsonOption.Text(body));
        }
        else
        {
            print();
        }

        return ExitCode.Ok;
    }
}
