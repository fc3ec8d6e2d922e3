using System.CommandLine;
using System.Globalization;
using Penstock.Control.Admin;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary><c>penstock upstreams</c>: the backends of a running Penstock, one per line.</summary>
internal static class UpstreamsCommand
{
    private static readonly Column[] Columns =
    [
        new("UPSTREAM"), new("BACKEND"), new("STATUS"), new("WEIGHT", true), new("IN FLIGHT", true),
        new("REQUESTS", true), new("FAILURES", true), new("LATENCY", true), new("CAUSE", Optional: true),
    ];

    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        var command = new PenstockCommand("upstreams", "List the upstreams and their backends: status and its cause, "
            + "requests in flight, counts since the start, latency.",
            "penstock upstreams",
            "penstock upstreams | grep -w down",
            "penstock upstreams --json | jq '.items[].backends[] | select(.health == \"down\") | .address'")
        { api.Json };
        api.AddTo(command);
        command.SetAction(parse => api.AskAsync(parse, HttpMethod.Get, "/upstreams",
            AdminJson.Answers.UpstreamPage, page => TextTable.Write(terminal, Columns, [.. Rows(page)])));
        return command;
    }

    /// <summary>A backend in one word.</summary>
    public static string StatusOf(BackendStatus backend) => backend switch
    {
        { State: not BackendState.Ready, Drained: true } => "drained",
        { State: BackendState.Drain } => "drain",
        { State: BackendState.Maintenance } => "maintenance",
        { Health: BackendHealth.Down } => "down",
        { Ejected: not null, EjectionIgnored: false } => "ejected",
        { Health: BackendHealth.Up } => "up",
        _ => "unchecked",
    };

    public static string LatencyText(double? ms) =>
        ms is null ? "-" : string.Create(CultureInfo.InvariantCulture, $"{ms:0.###} ms");

    public static string CauseOf(BackendStatus backend) => backend.Cause ?? backend.Ejected ?? "";

    private static IEnumerable<string[]> Rows(UpstreamPage page) => page.Items.SelectMany(static upstream =>
        upstream.Backends.Select(backend => (string[])
        [
            upstream.Name, backend.Address, StatusOf(backend), $"{backend.Weight}", $"{backend.InFlight}",
            $"{backend.Requests}", $"{backend.Failures}", LatencyText(backend.LatencyMs), CauseOf(backend),
        ]));
}
