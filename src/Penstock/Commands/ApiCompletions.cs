using System.CommandLine.Completions;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;

namespace Penstock.Commands;

/// <summary>Completions that a running Penstock knows. When it does not answer quickly, there are none.</summary>
internal static class ApiCompletions
{
    private const double TimeoutSeconds = 2;
    private const int MaxClients = 100;

    public static IEnumerable<CompletionItem> Backends(AdminAccess api, CompletionContext context) =>
        Ask(api, context, async admin =>
            (await admin.AskAsync(HttpMethod.Get, "/upstreams", AdminJson.Answers.UpstreamPage)).Value is { } page
                ? BackendName.All(page) : []);

    public static IEnumerable<CompletionItem> Clients(AdminAccess api, CompletionContext context) =>
        Names(api, context, $"/clients?limit={MaxClients}&q={Uri.EscapeDataString(context.WordToComplete)}",
            "client_id");

    public static IEnumerable<CompletionItem> Plans(AdminAccess api, CompletionContext context) =>
        Names(api, context, "/plans", "name");

    private static IEnumerable<CompletionItem> Names(
        AdminAccess api, CompletionContext context, string path, string member) => Ask(api, context, async admin =>
            (await admin.SendAsync(HttpMethod.Get, path)).Body is JsonObject page && page["items"] is JsonArray items
                ? items.Select(item => item is JsonObject one ? one[member]?.ToString() : null).OfType<string>() : []);

    private static IEnumerable<CompletionItem> Ask(
        AdminAccess api, CompletionContext context, Func<AdminClient, Task<IEnumerable<string>>> ask)
    {
        using AdminClient? admin = api.TryConnect(context.ParseResult, TimeoutSeconds, out _);
        // A completion source is called synchronously. This is the whole work of the process, so nothing else waits.
        return admin is null ? []
            : [.. Task.Run(() => ask(admin)).GetAwaiter().GetResult().Select(static name => new CompletionItem(name))];
    }
}
