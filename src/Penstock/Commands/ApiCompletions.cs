using System.CommandLine.Completions;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;

namespace Penstock.Commands;

/// <summary>Completions that a running Penstock knows. When it does not answer quickly, there are none.</summary>
internal static class ApiCompletions
{
    private const double TimeoutSeconds = 1;
    private const int MaxClients = 100;

    public static IEnumerable<CompletionItem> Backends(AdminAccess api, CompletionContext context) =>
        Ask(api, context, "/upstreams", static (admin, answer) =>
            admin.TryRead(answer, AdminJson.Types.UpstreamPage, out UpstreamPage? page, out _)
                ? BackendName.All(page) : []);

    public static IEnumerable<CompletionItem> Clients(AdminAccess api, CompletionContext context) =>
        Ask(api, context, $"/clients?limit={MaxClients}&q={Uri.EscapeDataString(context.WordToComplete)}",
            static (_, answer) => Names(answer, "client_id"));

    public static IEnumerable<CompletionItem> Plans(AdminAccess api, CompletionContext context) =>
        Ask(api, context, "/plans", static (_, answer) => Names(answer, "name"));

    private static IEnumerable<CompletionItem> Ask(AdminAccess api, CompletionContext context, string path,
        Func<AdminClient, AdminAnswer, IEnumerable<string>> names)
    {
        using AdminClient? admin = api.TryConnect(context.ParseResult, TimeoutSeconds, out _);
        if (admin is null)
        {
            return [];
        }

        // A completion source is called synchronously. This is the whole work of the process, so nothing else waits.
        AdminAnswer answer = Task.Run(() => admin.SendAsync(HttpMethod.Get, path)).GetAwaiter().GetResult();
        return answer.Fault is not null ? []
            : [.. names(admin, answer).Select(static name => new CompletionItem(name))];
    }

    private static IEnumerable<string> Names(AdminAnswer answer, string member) =>
        answer.Body is JsonObject page && page["items"] is JsonArray items
            ? items.Select(item => item is JsonObject one ? one[member]?.ToString() : null).OfType<string>() : [];
}
