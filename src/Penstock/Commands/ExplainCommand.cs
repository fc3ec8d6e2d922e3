using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock.Commands;

/// <summary><c>penstock explain</c>: what a running Penstock would do with a request, step by step.</summary>
internal static class ExplainCommand
{
    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        Argument<Uri> url = UrlArgument();
        var method = new Option<string>("--request", "-X") { HelpName = "METHOD", Description = "The method" };
        method.OrElse("GET");
        Option<IReadOnlyList<KeyValuePair<string, string>>> headers =
            OptionSyntax.ReadMany<KeyValuePair<string, string>>("--header", "FIELD",
                "A header field such as 'X-API-Key: user1'; repeat the option for more", TryField);
        headers.Aliases.Add("-H");
        Option<IPAddress> from = OptionSyntax.Read<IPAddress>("--from", "IP", "The address that the request comes from",
            TryClient).OrElse(IPAddress.Loopback);
        var command = new PenstockCommand("explain", "Show what a running Penstock would do with a request: client, "
            + "route, limits and backend. Nothing is sent and no token is taken.",
            "penstock explain /v1/orders -H 'X-API-Key: user1'",
            "penstock explain http://shop.example/cart -X POST -H 'Cookie: id=7' --from 10.0.0.9")
        { url, method, headers, from, api.Json };
        api.AddTo(command);
        command.SetAction(parse =>
        {
            Uri target = parse.GetRequiredValue(url);
            string host = target.Authority;
            var fields = new JsonObject();
            foreach ((string name, string value) in parse.GetValue(headers) ?? [])
            {
                if (name.Equals("Host", StringComparison.OrdinalIgnoreCase))
                {
                    host = value;
                }
                else
                {
                    fields[name] = fields[name] is { } before ? $"{before}, {value}" : value;
                }
            }

            var request = new JsonObject
            {
                ["method"] = parse.GetValue(method),
                ["host"] = host,
                ["path"] = target.PathAndQuery.StartsWith('/') ? target.PathAndQuery : "/" + target.PathAndQuery,
                ["headers"] = fields,
                ["client_address"] = parse.GetRequiredValue(from).ToString(),
            };
            Warn(terminal, parse.GetResult(url)!.Tokens[^1].Value, (string)request["method"]!);
            return api.AskAsync(parse, HttpMethod.Post, "/explain", AdminJson.Answers.Explanation, explanation =>
            {
                Line(terminal, "request", $"{request["method"]} {target.Scheme}://{host}{request["path"]}");
                Write(terminal, explanation);
            }, request);
        });
        return command;
    }

    private static Argument<Uri> UrlArgument() => new("URL")
    {
        Description = "The URL of the request, such as http://host/path; without a host: localhost",
        CustomParser = static result =>
        {
            string text = result.Tokens[^1].Value;
            string whole = text.StartsWith('/') ? "http://localhost" + text
                : text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text;
            // The path must arrive as written: routes may depend on how it is encoded.
            var raw = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
            if (Uri.TryCreate(whole, raw, out Uri? url) && url.Scheme is "http" or "https")
            {
                return url;
            }

            result.AddError($"URL: '{text}' is not a URL: write http://host/path or /path");
            return null!;
        },
    };

    /// <summary>Says what may be meant otherwise than it is read.</summary>
    private static void Warn(Terminal terminal, string url, string method)
    {
        if (url != "localhost" && url.AsSpan().IndexOfAny("./:") < 0)
        {
            terminal.Error.WriteLine(Terminal.Plain(
                $"warning: '{url}' is read as a host; write /{url} for a path"));
        }

        if (method.Any(char.IsAsciiLetterLower))
        {
            terminal.Error.WriteLine(Terminal.Plain($"warning: methods are case-sensitive, so '{method}' is not "
                + $"{method.ToUpperInvariant()}, and no route for {method.ToUpperInvariant()} matches it"));
        }
    }

    private static bool TryField(string text, out KeyValuePair<string, string> field, out string error)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        field = colon > 0 ? new(text[..colon].Trim(), text[(colon + 1)..].Trim()) : default;
        error = $"'{text}' is not a header field: write 'Name: value'";
        return colon > 0;
    }

    /// <summary>What the API accepts as the address of a client.</summary>
    private static bool TryClient(string text, out IPAddress address, out string error)
    {
        error = $"'{text}' is not an IP address: write IPv4 such as 10.0.0.9, or IPv6 without brackets, port and zone "
            + "such as 2001:db8::9";
        return AddressText.TryParse(text, out address!);
    }

    private static void Write(Terminal terminal, Explanation it)
    {
        void Line(string label, string text) => ExplainCommand.Line(terminal, label, text);

        if (it.Client is not null)
        {
            Line("client", $"{it.Client}, identified by {it.IdentifiedBy}, from {it.ClientAddress}, "
                + (it.Registered ? "registered" : "not registered") + (it.Plan is { } plan ? $", plan {plan}" : ""));
        }

        if (it.Route is not null)
        {
            Line("route", $"{it.Route}, to upstream {it.Upstream}");
        }

        if (it.Exempt)
        {
            Line("limit", "none: the client is exempt");
        }

        foreach (LimitState limit in it.Limits)
        {
            Line("limit", $"{limit.Name}: {LimitText(limit)}");
        }

        foreach (Candidate candidate in it.Candidates)
        {
            Line("backend", $"{candidate.Address}: {CandidateText(candidate)}");
        }

        if (it.Balance is { } balance)
        {
            Line("pick", $"{it.Pick ?? "none"}, by {WordOf(balance)}"
                + (it.Session is { } session ? $"; the session cookie names {session}" : ""));
        }

        Line("verdict", terminal.Strong(it.Verdict) + (it.Detail is { } detail ? $": {detail}"
            : it.Pick is { } pick ? $": the request would go to {pick}" : ""));
    }

    private static void Line(Terminal terminal, string label, string text) =>
        terminal.Out.WriteLine($"{terminal.Faint(label.PadRight(8))} {Terminal.Plain(text)}");

    private static string LimitText(LimitState limit)
    {
        List<string> parts = [];
        if (limit.Capacity is { } capacity)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture,
                $"{limit.Tokens:0.###} of {Counted.Of(capacity, "token")}, {Banner.RateText(limit.RatePerSec ?? 0)}"));
        }

        if (limit.Concurrent is { } concurrent)
        {
            parts.Add($"{limit.InFlight} of {Counted.Of(concurrent, "request")} in flight");
        }

        parts.Add(limit.By == LimitKey.All ? "shared by all" : $"per {WordOf(limit.By)}");
        parts.Add((limit.Admits ? "admits" : "rejects") + (limit.DryRun ? " (dry run)" : ""));
        return string.Join(", ", parts);
    }

    private static string CandidateText(Candidate backend) => string.Join(", ", new[]
    {
        backend.Usable ? "usable" : "not usable",
        $"health {WordOf(backend.Health)}",
        $"state {WordOf(backend.State)}",
        $"weight {backend.Weight}",
        $"{backend.InFlight} in flight",
        backend.HasRoom ? null : "has no room",
        backend.Backup ? "backup" : null,
        backend.Cause,
    }.OfType<string>());

    private static string WordOf<T>(T value) where T : struct, Enum =>
        JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
