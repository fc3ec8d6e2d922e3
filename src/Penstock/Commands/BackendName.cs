using System.CommandLine;
using System.CommandLine.Parsing;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Proxy.Upstreams;

namespace Penstock.Commands;

/// <summary>A backend as an operator names it: <c>web/10.0.0.3:80</c>, or only <c>10.0.0.3:80</c>.</summary>
internal static class BackendName
{
    public static Argument<string> Argument(AdminAccess api) => new("BACKEND")
    {
        HelpName = "BACKEND", // without it, the help would ask the completion source
        Description = "The upstream and the backend, such as web/10.0.0.3:80; the address is enough if no other "
            + "upstream has it",
        Validators = { static result => RejectEmpty(result) },
        CompletionSources = { context => ApiCompletions.Backends(api, context) },
    };

    /// <summary>All full names.</summary>
    public static IEnumerable<string> All(UpstreamPage page) => Pairs(page).Select(Full);

    public static string Full((UpstreamStatus Upstream, BackendStatus Backend) one) =>
        $"{one.Upstream.Name}/{one.Backend.Address}";

    /// <summary>Finds the backend by its full name, its address, or the DNS name that it is configured with.</summary>
    public static bool TryFind(UpstreamPage page, string name,
        out (UpstreamStatus Upstream, BackendStatus Backend) found, out string fault)
    {
        (UpstreamStatus Upstream, BackendStatus Backend)[] all = [.. Pairs(page).Where(one => IsNamed(one, name))];
        found = all.FirstOrDefault();
        fault = all.Length switch
        {
            1 => "",
            0 => $"there is no backend '{name}'; " + Suggestion.OrList(name, [.. All(page)], "the backends are"),
            _ => $"'{name}' is the name of several backends; write {string.Join(" or ", all.Select(Full))}",
        };
        return all.Length == 1;
    }

    private static IEnumerable<(UpstreamStatus Upstream, BackendStatus Backend)> Pairs(UpstreamPage page) =>
        page.Items.SelectMany(static upstream => upstream.Backends.Select(backend => (upstream, backend)));

    private static bool IsNamed((UpstreamStatus Upstream, BackendStatus Backend) one, string name) =>
        new[] { one.Backend.Address, one.Backend.Name }.OfType<string>().Any(known =>
            name.Equals(known, StringComparison.OrdinalIgnoreCase)
            || name.Equals($"{one.Upstream.Name}/{known}", StringComparison.OrdinalIgnoreCase));

    private static void RejectEmpty(ArgumentResult result)
    {
        if (result.Tokens.Count > 0 && result.Tokens[0].Value.Length == 0)
        {
            result.AddError("BACKEND: must not be empty");
        }
    }
}
