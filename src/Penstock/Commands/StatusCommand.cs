using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Proxy;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary><c>penstock status</c>: a running Penstock on one screen.</summary>
internal static class StatusCommand
{
    private const int BackendsNamed = 4;

    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        var command = new PenstockCommand("status", "Show a running Penstock on one screen: version, listeners, "
            + "requests, upstreams, limits, store, the last reload, and warnings.",
            "penstock status",
            "penstock status --admin http://10.0.0.5:9800 --json | jq .warnings")
        { api.Json };
        api.AddTo(command);
        command.SetAction(parse => api.WithAsync(parse, async admin =>
        {
            if (await api.TryAskAsync(admin, HttpMethod.Get, "/status", AdminJson.Answers.StatusReport)
                is not { } status
                || await api.TryAskAsync(admin, HttpMethod.Get, "/upstreams", AdminJson.Answers.UpstreamPage)
                is not { } upstreams)
            {
                return ExitCode.Failure;
            }

            status.Body!["upstreams"] = (upstreams.Body as JsonObject)?["items"]?.DeepClone();
            return api.Print(parse, status.Body, () => Write(terminal, status.Value, upstreams.Value.Items));
        }));
        return command;
    }

    private static void Write(Terminal terminal, StatusReport it, IReadOnlyList<UpstreamStatus> upstreams)
    {
        void Line(string label, string text) =>
            terminal.Out.WriteLine($"  {terminal.Faint(label.PadRight(9))} {Terminal.Plain(text)}");

        terminal.Out.WriteLine(terminal.Strong($"Penstock {it.Version}")
            + $" ({it.Flavour}, {it.Runtime}, process {it.ProcessId})");
        Line("up", $"{Lasting.Of(it.UptimeSeconds)}, since "
            + RejectionsCommand.TimeText(it.StartedAt));
        Line("listen", $"{string.Join(", ", it.Listeners)}; {Counted.Are(it.Connections, "connection")} open");
        Line("requests", $"{it.Requests.Total}: "
            + string.Join(", ", it.Requests.ByReason.Select(static one => $"{one.Value} {one.Key}")));
        foreach (UpstreamStatus upstream in upstreams)
        {
            Line("upstream", $"{upstream.Name}: {UpstreamText(upstream)}");
        }

        foreach (LimitReport limit in it.Limits)
        {
            Line("limit", $"{limit.Name}: {LimitText(limit)}");
        }

        Line("clients", $"{it.Clients} registered, kept in {it.Store.Name}"
            + (it.Store.Nodes is { } nodes ? $", shared by {Counted.Of(nodes, "node")}" : ""));
        Line("config", $"read {RejectionsCommand.TimeText(it.Configuration.ReadAt)}"
            + (it.Configuration.ReloadError is null ? "" : "; the last reload failed"));
        foreach (string warning in it.Warnings)
        {
            Line("warning", warning);
        }
    }

    private static string UpstreamText(UpstreamStatus upstream)
    {
        BackendStatus[] unusable = [.. upstream.Backends.Where(static backend => !backend.MayGetRequests())];
        string named = string.Join(", ", unusable.Take(BackendsNamed).Select(static backend =>
            $"{backend.Address} is {UpstreamsCommand.StatusOf(backend)}"
            + (UpstreamsCommand.CauseOf(backend) is { Length: > 0 } cause ? $" ({cause})" : "")));
        return $"{upstream.Backends.Count - unusable.Length} of {Counted.Of(upstream.Backends.Count, "backend")} may "
            + "get requests, "
            + $"{upstream.Backends.Sum(static backend => backend.InFlight)} in flight"
            + (upstream.Queued > 0 ? $", {upstream.Queued} waiting" : "")
            + (unusable.Length > 0 ? $"; {named}" : "")
            + (unusable.Length > BackendsNamed ? $", and {unusable.Length - BackendsNamed} more" : "");
    }

    private static string LimitText(LimitReport limit) => string.Join(", ", new[]
    {
        limit.Capacity is { } capacity
            ? $"{capacity} at once, then {Banner.RateText(limit.RatePerSec ?? 0)}" : null,
        limit.Concurrent is { } concurrent ? $"{concurrent} at the same time" : null,
        limit.DryRun ? $"dry run: {limit.DryRunRejected} would have been rejected" : null,
        $"{limit.Admitted} admitted",
        $"{limit.Rejected} rejected",
    }.OfType<string>());
}
