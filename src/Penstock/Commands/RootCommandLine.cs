using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;

namespace Penstock.Commands;

internal static class RootCommandLine
{
    /// <summary>Commands that work without OpenSSL. In all others the runtime would end the process at the first hash
    /// or random number.</summary>
    private static readonly string[] WithoutOpenSsl = ["version", "man", "completion", "backends"];

    public static RootCommand Create(Terminal terminal)
    {
        var root = new RootCommand("Penstock: an HTTP load balancer that holds every client to its own limit.")
        {
            DemoCommand.Create(terminal),
            ProxyCommand.Create(terminal),
            RunCommand.Create(terminal),
            CheckCommand.Create(terminal),
            ConfigCommand.Create(terminal),
            BackendsCommand.Create(terminal),
            StatusCommand.Create(terminal),
            TopCommand.Create(terminal),
            UpstreamsCommand.Create(terminal),
            RejectionsCommand.Create(terminal),
            ExplainCommand.Create(terminal),
            ReloadCommand.Create(terminal),
            ClientsCommand.Create(terminal),
            ClientsCommand.CreatePlans(terminal),
            SimulateCommand.Create(terminal),
            HealthcheckCommand.Create(terminal),
            CompletionCommand.Create(terminal),
            TokenCommand.Create(terminal),
            VersionCommand.Create(terminal),
        };
        root.Add(ManCommand.Create(terminal, root));
        foreach (Command command in BackendCommands.CreateAll(terminal))
        {
            root.Add(command);
        }

        Completions.AddTo(root, terminal);
        HelpOption helpOption = root.Options.OfType<HelpOption>().Single();
        var help = (HelpAction)helpOption.Action!;
        helpOption.Action = new HelpWithExamples(help);
        foreach (string alias in (string[])["-?", "/?", "/h"]) // /h may be the path of a file or of a request
        {
            helpOption.Aliases.Remove(alias);
        }

        foreach (Command group in CommandText.Groups(root))
        {
            group.SetAction(parse =>
            {
                help.Invoke(parse);
                return ExitCode.Usage;
            });
        }

        return root;
    }

    /// <param name="args">The arguments after the program's name.</param>
    /// <param name="terminal">Where the command reads and writes.</param>
    /// <param name="stop">Stops a server command like a first Ctrl+C.</param>
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken stop = default)
    {
        // "@name" can be a client id; it does not name a file with more arguments.
        ParseResult parse = Create(terminal).Parse([.. OtherSpellings.Of(args)],
            new ParserConfiguration { ResponseFileTokenReplacer = null });
        var wrong = parse.Action as ParseErrorAction;
        wrong?.ShowHelp = false;
        Command command = parse.CommandResult.Command;
        if (StrayWords.Fault(args, parse, wrong is not null) is { } fault)
        {
            terminal.Fail(fault);
            foreach (ParseError other in parse.Errors.Where(error => !StrayWords.IsCauseOf(error, parse)))
            {
                terminal.Error.WriteLine(other.Message);
            }

            terminal.Error.WriteLine($"See '{CommandText.PathOf(command)} --help'.");
            return ExitCode.Usage;
        }
        if (wrong is null && parse.Action == command.Action && NeedsOpenSsl(command)
            && !NativeLibrary.TryLoad("libssl.so.3", out _))
        {
            return terminal.Fail("OpenSSL 3 is missing (libssl.so.3): install Debian's and Ubuntu's package libssl3, "
                + "Fedora's openssl-libs");
        }

        var invocation = new InvocationConfiguration
        {
            Output = wrong is null ? terminal.Out : terminal.Error,
            Error = terminal.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null, // StopSignals handles signals, and a graceful stop may take longer
        };
        try
        {
            int code = await parse.InvokeAsync(invocation, stop);
            if (wrong is null)
            {
                return code;
            }

            terminal.Error.WriteLine($"See '{CommandText.PathOf(command)} --help'.");
            return ExitCode.Usage;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return terminal.Fail(CommandFile.Sentence(failure));
        }
        catch (Exception bug)
        {
            return terminal.Fail($"bug in Penstock, please report it: {bug}");
        }
    }

    private static bool NeedsOpenSsl(Command command) =>
        command is PenstockCommand { Subcommands.Count: 0 }
        && !WithoutOpenSsl.Contains(CommandText.PathOf(command).Split(' ')[1]);
}
