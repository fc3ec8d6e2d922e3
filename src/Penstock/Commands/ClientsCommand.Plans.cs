using System.CommandLine;
using System.Text.Json.Nodes;

namespace Penstock.Commands;

/// <content><c>penstock plans</c>: a plan is a capacity and a rate for many clients.</content>
internal sealed partial class ClientsCommand
{
    private readonly Argument<string> _name = new("PLAN")
    {
        HelpName = "PLAN",
        Description = "The name of the plan, such as gold",
    };

    public static Command CreatePlans(Terminal terminal)
    {
        var self = new ClientsCommand(terminal);
        var command = new PenstockCommand("plans", "Show and change the plans of a running Penstock through its admin "
            + "API.",
            "penstock plans list",
            "penstock plans set gold --capacity 1000 --rate 50/s",
            "penstock clients set user1 --plan gold")
        {
            self.ListPlans(), self.GetPlan(), self.SetPlan(), self.DeletePlan(),
        };
        self._api.AddTo(command);
        return command;
    }

    private PenstockCommand ListPlans()
    {
        var command = new PenstockCommand("list", "List the plans and how many clients each has.",
            "penstock plans list") { _api.Json, _api.Json.Format };
        command.SetAction(parse => AskAsync(parse, async admin =>
        {
            AdminAnswer answer = await admin.SendAsync(HttpMethod.Get, "/plans");
            return answer.Fault is null ? answer with { Body = answer.Body?["items"]?.DeepClone() } : answer;
        }, PrintPlans));
        return command;
    }

    private PenstockCommand GetPlan()
    {
        var command = new PenstockCommand("get", "Show one plan.", "penstock plans get gold")
        { _name, _api.Json, _api.Json.Format };
        command.SetAction(parse => AskAsync(parse, admin => admin.SendAsync(HttpMethod.Get, PlanPath(parse)),
            PrintPlans));
        return command;
    }

    private PenstockCommand SetPlan()
    {
        var command = new PenstockCommand("set", "Create or change a plan. The change applies from the next request of "
            + "each of its clients.", "penstock plans set gold --capacity 1000 --rate 50/s")
        { _name, _capacity, _rate, _api.Json, _api.Json.Format };
        command.SetAction(parse =>
        {
            if (!Has(parse, _capacity) || !Has(parse, _rate))
            {
                return Task.FromResult(_terminal.Fail("a plan needs both --capacity and --rate", ExitCode.Usage));
            }

            var plan = new JsonObject
            {
                ["capacity"] = parse.GetValue(_capacity),
                ["rate_per_sec"] = parse.GetValue(_rate),
            };
            return AskAsync(parse, admin => admin.SendAsync(HttpMethod.Put, PlanPath(parse), plan), PrintPlans);
        });
        return command;
    }

    private PenstockCommand DeletePlan()
    {
        var command = new PenstockCommand("delete", "Delete a plan that no client has.",
            "penstock plans delete gold") { _name, _api.Json, _api.Json.Format };
        command.SetAction(parse => DeleteAsync(parse, PlanPath(parse), parse.GetRequiredValue(_name)));
        return command;
    }

    private string PlanPath(ParseResult parse) => "/plans/" + Uri.EscapeDataString(parse.GetRequiredValue(_name));

    private void PrintPlans(JsonNode? body) => TextTable.Write(_terminal,
        [new("PLAN"), new("CAPACITY", true), new("RATE", true), new("CLIENTS", true), new("SOURCE", true)],
        [.. (body is JsonArray list ? [.. list] : (JsonNode?[])[body]).Select(static plan => (string[])
        [
            plan?["name"]?.ToString() ?? "?",
            .. NumberCells(plan, "?"),
            plan?["clients"]?.ToString() ?? "?",
            plan?["source"]?.ToString() ?? "?",
        ])]);
}
