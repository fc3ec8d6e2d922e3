using System.CommandLine;
using System.Text.Json.Nodes;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <content><c>penstock clients set</c>.</content>
internal sealed partial class ClientsCommand
{
    private readonly Option<long> _capacity =
        OptionSyntax.Number<long>("--capacity", "N", "Tokens in a full bucket", 1, MaxCapacity);
    private readonly Option<double> _rate = OptionSyntax.Read<double>("--rate", "RATE",
        "How fast the bucket refills, such as 10/s or 0.5/s", ConfigValue.TryRate);
    private readonly Option<double> _tokens = OptionSyntax.Number<double>("--tokens", "X",
        "Set the tokens in the bucket [default: a new client has a full bucket, others keep theirs]", 0, MaxCapacity);
    private readonly Option<string> _plan = new("--plan")
    {
        HelpName = "PLAN",
        Description = "Use the capacity and the rate of this plan",
    };
    private readonly Option<bool> _block = new("--block") { Description = "Answer all its requests with 403" };
    private readonly Option<bool> _exempt = new("--exempt") { Description = "Apply no limit to it" };
    private readonly Option<bool> _allow = new("--allow") { Description = "Undo --block or --exempt" };
    private readonly Option<IReadOnlyList<OwnLimit>> _limits = OptionSyntax.ReadMany<OwnLimit>("--limit",
        "NAME=N,RATE", "Its own numbers for a limit of the configuration, such as search=5,1/s; search=off removes "
            + "them", TryOwnLimit);

    /// <param name="Numbers">Null: remove the client's own numbers.</param>
    private sealed record OwnLimit(string Name, JsonObject? Numbers);

    private PenstockCommand Set()
    {
        var command = new PenstockCommand("set", "Register or change a client. The change applies from its next "
            + "request; values that are not given stay. A new client needs --capacity and --rate, or --plan.",
            "penstock clients set user1 --capacity 100 --rate 10/s",
            "penstock clients set user1 --plan gold --limit search=5,1/s",
            "penstock clients set user1 --block",
            "penstock clients set 123.5.6.7:890 --capacity 20 --rate 60/m --tokens 5")
        { _id, _capacity, _rate, _plan, _tokens, _block, _exempt, _allow, _limits,
            _api.Json, _api.Json.Format };
        command.SetAction(parse => Fault(parse) is { } fault
            ? Task.FromResult(_terminal.Fail(fault, ExitCode.Usage))
            : AskAsync(parse, admin => SetAsync(parse, admin)));
        return command;
    }

    private string? Fault(ParseResult parse)
    {
        (bool capacity, bool rate, bool plan) = (Has(parse, _capacity), Has(parse, _rate), Has(parse, _plan));
        int access = new[] { _block, _exempt, _allow }.Count(parse.GetValue);
        if (plan && (capacity || rate))
        {
            return "--plan sets the capacity and the rate: give either --plan, or --capacity and --rate";
        }

        if (access > 1)
        {
            return "give only one of --block, --exempt and --allow";
        }

        return capacity || rate || plan || access > 0 || Has(parse, _tokens) || Has(parse, _limits) ? null
            : "nothing to set: give --capacity and --rate, --plan, --block, --exempt, --allow, --limit or --tokens";
    }

    private static bool Has(ParseResult parse, Option option) => parse.GetResult(option) is { Implicit: false };

    /// <summary>First creates or replaces the client with its numbers, then patches its numbers for named limits, so
    /// that those for other limits stay.</summary>
    private async Task<AdminAnswer> SetAsync(ParseResult parse, AdminClient admin)
    {
        string path = AdminClient.PathOf(parse.GetRequiredValue(_id));
        var client = new JsonObject();
        if (Has(parse, _capacity))
        {
            client["capacity"] = parse.GetValue(_capacity);
        }
        if (Has(parse, _rate))
        {
            client["rate_per_sec"] = parse.GetValue(_rate);
        }
        if (Has(parse, _plan))
        {
            client["plan"] = parse.GetValue(_plan);
        }

        bool isWhole = Has(parse, _plan) || client.Count == 2;
        if (Has(parse, _tokens))
        {
            client["current_tokens"] = parse.GetValue(_tokens);
        }

        if (parse.GetValue(_block))
        {
            client["access"] = "blocked";
        }

        if (parse.GetValue(_exempt))
        {
            client["access"] = "exempt";
        }

        if (parse.GetValue(_allow))
        {
            client["access"] = "limited";
        }

        JsonObject? limits = Has(parse, _limits) ? new JsonObject(parse.GetValue(_limits)!
            .Select(static own => KeyValuePair.Create<string, JsonNode?>(own.Name, own.Numbers))) : null;

        if (!isWhole && limits is not null)
        {
            client["limits"] = limits;
        }

        AdminAnswer answer = await admin.SendAsync(isWhole ? HttpMethod.Put : HttpMethod.Patch, path, client);
        if (!isWhole && answer.Status == 404 && client["access"] is not null)
        {
            answer = await admin.SendAsync(HttpMethod.Put, path, client);
        }
        else if (isWhole && limits is not null && answer.Fault is null)
        {
            answer = await admin.SendAsync(HttpMethod.Patch, path, new JsonObject { ["limits"] = limits });
        }

        return isWhole ? answer : InWords(answer, parse.GetRequiredValue(_id));
    }

    /// <summary>Faults of a client that is to be changed, in the words of the command instead of the API.</summary>
    private static AdminAnswer InWords(AdminAnswer answer, string id)
    {
        if (answer is { Status: 404, Body: not null })
        {
            return answer with { Fault = $"{answer.Fault}; a new client needs --capacity and --rate, or --plan" };
        }

        IEnumerable<JsonNode?> faults = answer.Body?["errors"] as JsonArray ?? [];
        return answer.Status == 400 && faults.Any(static fault => (string?)fault?["field"] == "plan")
            ? answer with
            {
                Fault = $"client '{id}' has a plan, which sets its capacity and its rate: for numbers of its own give "
                    + "--capacity and --rate together, otherwise change the plan or choose another one with --plan",
            }
            : answer;
    }

    private static bool TryOwnLimit(string text, out OwnLimit limit, out string error)
    {
        limit = new("", null);
        error = $"'{text}' is not a limit with a capacity and a rate: write search=5,1/s, or search=off";
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            return false;
        }

        (string name, string numbers) = (text[..equals], text[(equals + 1)..]);
        if (numbers == "off")
        {
            limit = new(name, null);
            return true;
        }
        int comma = numbers.IndexOf(',', StringComparison.Ordinal);
        if (comma < 0 || !long.TryParse(numbers[..comma], out long capacity))
        {
            return false;
        }

        if (!ConfigValue.TryRate(numbers[(comma + 1)..], out double rate, out error))
        {
            return false;
        }

        limit = new(name, new() { ["capacity"] = capacity, ["rate_per_sec"] = rate });
        return true;
    }
}
