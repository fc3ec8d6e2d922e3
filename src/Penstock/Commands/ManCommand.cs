using System.CommandLine;
using System.Text;
using Penstock.Control;

namespace Penstock.Commands;

/// <summary><c>penstock man</c>: prints the manual page, which packages install. It is made from the commands, so it
/// fits them.</summary>
internal static class ManCommand
{
    private static readonly (string Name, string Meaning)[] Variables =
    [
        ("PENSTOCK_CONFIG, CONFIG_PATH", "The configuration file, if none is named."),
        ("PENSTOCK_ADMIN", "The URL of the admin API, if --admin is not given."),
        ("PENSTOCK_TOKEN", "The token of the admin API, if --token is not given."),
        ("NO_COLOR", "If it is set and not empty, no output is coloured."),
    ];

    public static Command Create(Terminal terminal, RootCommand root)
    {
        var command = new PenstockCommand("man", "Print the manual page.", "penstock man | man -l -");
        command.SetAction(_ => terminal.Out.Write(PageOf(root)));
        return command;
    }

    private static string PageOf(RootCommand root)
    {
        var page = new StringBuilder();
        page.Append($".TH PENSTOCK 1 \"\" \"Penstock {ProductVersion.Short}\" \"User commands\"\n");
        page.Append(".SH NAME\n").Append("penstock \\- HTTP load balancer with a limit for every client\n");
        page.Append(".SH SYNOPSIS\n.B penstock\n.I command\n[options]\n");
        page.Append(".SH DESCRIPTION\n").Append(Line(root.Description ?? ""));
        page.Append(".SH COMMANDS\n");
        foreach (Command command in CommandText.Leaves(root))
        {
            Append(page, command);
        }

        page.Append(".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B 1\nfailure\n.TP\n.B 2\n"
            + "wrong usage or invalid configuration\n");
        page.Append(".SH ENVIRONMENT\n");
        foreach ((string name, string meaning) in Variables)
        {
            page.Append($".TP\n.B {Escape(name)}\n").Append(Line(meaning));
        }

        return page.ToString();
    }

    private static void Append(StringBuilder page, Command command)
    {
        page.Append($".SS {Escape(CommandText.UsageOf(command))}\n").Append(Line(command.Description ?? ""));
        foreach ((string syntax, string meaning) in CommandText.WordsOf(command))
        {
            page.Append($".TP\n.B {Escape(syntax)}\n").Append(Line(meaning));
        }

        page.Append(".PP\n.nf\n");
        foreach (string example in (command as PenstockCommand)?.Examples ?? [])
        {
            page.Append(Line(example));
        }

        page.Append(".fi\n");
    }

    /// <summary>A line of text. A dot or an apostrophe at its beginning would make it a request to the formatter.
    /// </summary>
    private static string Line(string text) => (text.StartsWith('.') || text.StartsWith('\'') ? "\\&" : "")
        + Escape(text) + "\n";

    private static string Escape(string text) => text.Replace("\\", "\\e", StringComparison.Ordinal)
        .Replace("-", "\\-", StringComparison.Ordinal).Replace("'", "\\(aq", StringComparison.Ordinal)
        .Replace("\"", "\\(dq", StringComparison.Ordinal).Replace("^", "\\(ha", StringComparison.Ordinal)
        .Replace("~", "\\(ti", StringComparison.Ordinal).Replace("…", "...", StringComparison.Ordinal);
}
