using System.CommandLine;
using System.Text.Json;
using Penstock.Control.Admin;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock healthcheck</c>: the exit code says whether a running Penstock is ready.</summary>
internal static class HealthcheckCommand
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(2);

    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        var live = new Option<bool>("--live")
        {
            Description = "Ask only whether the process is alive (/livez), not whether it should get traffic (/readyz)",
        };
        Option<TimeSpan> timeout = OptionSyntax.Read<TimeSpan>("--timeout", "TIME",
            "How long to wait for the answer [default: 2s]", ConfigValue.TryDuration);
        var command = new PenstockCommand("healthcheck", "Exit with 0 if a running Penstock is ready, otherwise print "
            + "why not and exit with 1.",
            "penstock healthcheck",
            "penstock healthcheck --live    # Dockerfile: HEALTHCHECK CMD [\"penstock\", \"healthcheck\", \"--live\"]")
        { live, timeout, api.Json };
        api.AddTo(command);
        command.SetAction(parse => api.WithAsync(parse, async admin =>
        {
            AdminAnswer answer = await admin.SendAsync(HttpMethod.Get, parse.GetValue(live) ? "/livez" : "/readyz");
            if (answer.Status == 0 || answer.Body is null)
            {
                return terminal.Fail(answer.Fault ?? admin.NotPenstock("answered nothing"));
            }

            if (answer.Fault is not null)
            {
                return terminal.Fail(ReasonOf(answer));
            }

            return api.Print(parse, answer.Body, () => terminal.Out.WriteLine(ReasonOf(answer)));
        }, (parse.GetResult(timeout) is null ? DefaultTimeout : parse.GetValue(timeout)).TotalSeconds));
        return command;
    }

    /// <summary>The status, and each check that is not ok.</summary>
    private static string ReasonOf(AdminAnswer answer)
    {
        try
        {
            Readiness? state = answer.Body.Deserialize(AdminJson.Types.Readiness);
            IEnumerable<string> failing = (state?.Checks ?? new Dictionary<string, Check>())
                .Where(static check => check.Value.Status != "ok")
                .Select(static check => $"{check.Key} is {check.Value.Status}"
                    + (check.Value.Detail is { } detail ? $" ({detail})" : ""));
            return $"{state?.Status}{string.Concat(failing.Select(static text => $"; {text}"))}";
        }
        catch (JsonException)
        {
            return answer.Fault ?? "ok";
        }
    }
}
