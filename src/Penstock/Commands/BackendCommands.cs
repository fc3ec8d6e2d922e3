using Penstock.Proxy;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary><c>penstock drain</c>, <c>maintenance</c>, <c>ready</c> and <c>weight</c>: one backend by hand.</summary>
internal sealed class BackendCommands
{
    private const int DefaultWeight = 0;
    private const int MaxWeight = 256;

    /// <summary>How often it looks whether the backend is drained.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly Terminal _terminal;
    private readonly AdminAccess _api;
    private readonly Argument<string> _backend;
    private readonly Option<TimeSpan?> _wait = new("--wait")
    {
        HelpName = "TIME",
        Description = "Wait until no request is in flight there, at most for this time, such as 30s [default: without "
            + "a maximum]; exit with 1 if it is not drained then",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = static result =>
        {
            if (result.Tokens.Count == 0)
            {
                return TimeSpan.MaxValue;
            }

            if (ConfigValue.TryDuration(result.Tokens[^1].Value, out TimeSpan time, out string error))
            {
                return time;
            }

            result.AddError($"--wait: {error}");
            return null;
        },
    };

    private BackendCommands(Terminal terminal)
    {
        (_terminal, _api) = (terminal, new(terminal));
        _backend = BackendName.Argument(_api);
    }

    public static IEnumerable<Command> CreateAll(Terminal terminal)
    {
        var self = new BackendCommands(terminal);
        yield return self.StateCommand(BackendState.Drain, waits: true,
            "Give a backend no new clients; it finishes its requests and keeps its sticky sessions.",
            "penstock drain web/10.0.0.3:80 --wait 30s");
        yield return self.StateCommand(BackendState.Maintenance, waits: true,
            "Give a backend no new requests, those of sticky sessions neither.",
            "penstock maintenance 10.0.0.3:80 --wait");
        yield return self.StateCommand(BackendState.Ready, waits: false,
            "Give a backend requests again, after drain or maintenance.",
            "penstock ready web/10.0.0.3:80");
        yield return self.WeightCommand();
    }

    private PenstockCommand StateCommand(BackendState state, bool waits, string description, string example)
    {
        string word = WordOf(state);
        var command = new PenstockCommand(word, description + " The state holds until it is set again or Penstock "
            + "restarts.", example)
        { _backend, _api.Json };
        if (waits)
        {
            command.Add(_wait);
        }

        _api.AddTo(command);
        command.SetAction((parse, stop) => ChangeAsync(parse, new() { ["state"] = word },
            waits ? parse.GetValue(_wait) : null, stop));
        return command;
    }

    private PenstockCommand WeightCommand()
    {
        var weight = new Argument<int>("WEIGHT")
        {
            HelpName = "WEIGHT",
            Description = $"1 to {MaxWeight}, or default for the weight of the configuration",
            CustomParser = static result =>
            {
                string text = result.Tokens[^1].Value;
                if (text == "default")
                {
                    return DefaultWeight;
                }

                if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                    && number is >= 1 and <= MaxWeight)
                {
                    return number;
                }

                result.AddError($"WEIGHT: '{text}' is not a weight: write a number from 1 to {MaxWeight}, or default");
                return DefaultWeight;
            },
            CompletionSources = { "default" },
        };
        var command = new PenstockCommand("weight", "Set the weight of a backend, until it is set again or Penstock "
            + "restarts.",
            "penstock weight web/10.0.0.3:80 5",
            "penstock weight web/10.0.0.3:80 default")
        { _backend, weight, _api.Json };
        _api.AddTo(command);
        command.SetAction((parse, stop) => ChangeAsync(parse,
            new() { ["weight"] = parse.GetValue(weight) is > DefaultWeight and var number ? number : null }, null,
            stop));
        return command;
    }

    private Task<int> ChangeAsync(ParseResult parse, JsonObject change, TimeSpan? wait, CancellationToken stop) =>
        _api.WithAsync(parse, async admin =>
        {
            if (await FindAsync(admin, parse.GetRequiredValue(_backend)) is not { } found)
            {
                return ExitCode.Failure;
            }

            string path = $"/upstreams/{Uri.EscapeDataString(found.Upstream.Name)}/backends/"
                + Uri.EscapeDataString(found.Backend.Address);
            if (await _api.TryAskAsync(admin, HttpMethod.Patch, path, AdminJson.Answers.BackendStatus, change)
                is not { } changed)
            {
                return ExitCode.Failure;
            }

            string name = BackendName.Full(found);
            BackendStatus? last = wait is { } time
                ? await DrainedAsync(admin, name, changed.Value, time, stop) : changed.Value;
            if (last is null)
            {
                return ExitCode.Failure;
            }

            int code = _api.Print(parse, JsonSerializer.SerializeToNode(last, AdminJson.Answers.BackendStatus),
                () => _terminal.Out.WriteLine(Sentence(name, last)));
            return wait is null || last.Drained ? code
                : _terminal.Fail($"{name} is not drained yet: " + (last.InFlight > 0
                    ? $"{Counted.Are(last.InFlight, "request")} in flight"
                    : "its sticky sessions may still use it; 'penstock maintenance' moves them to other backends"));
        });

    /// <returns>Null if there is no such backend; the error is printed.</returns>
    private async Task<(UpstreamStatus Upstream, BackendStatus Backend)?> FindAsync(AdminClient admin, string name)
    {
        if (await _api.TryAskAsync(admin, HttpMethod.Get, "/upstreams", AdminJson.Answers.UpstreamPage) is not { } page)
        {
            return null;
        }

        if (BackendName.TryFind(page.Value, name, out (UpstreamStatus, BackendStatus) found, out string fault))
        {
            return found;
        }

        _terminal.Fail(fault);
        return null;
    }

    /// <summary>Looks until the backend is drained or the time is over.</summary>
    /// <returns>Its last state; null if the API no longer shows it, and the error is printed.</returns>
    private async Task<BackendStatus?> DrainedAsync(
        AdminClient admin, string name, BackendStatus backend, TimeSpan time, CancellationToken stop)
    {
        long until = time == TimeSpan.MaxValue ? long.MaxValue : Environment.TickCount64 + (long)time.TotalMilliseconds;
        while (!backend.Drained && Environment.TickCount64 < until && !stop.IsCancellationRequested)
        {
            await Task.Delay(LookEvery, CancellationToken.None);
            if (await FindAsync(admin, name) is not { } found)
            {
                return null;
            }

            backend = found.Backend;
        }

        return backend;
    }

    private static string Sentence(string full, BackendStatus backend) => $"{full}: {WordOf(backend.State)}"
        + (backend.Drained ? ", drained" : "")
        + $", health {backend.Health.ToString().ToLowerInvariant()}, weight {backend.Weight}, "
        + $"{backend.InFlight} in flight";

    private static string WordOf(BackendState state) => state.ToString().ToLowerInvariant();
}
