using System.CommandLine;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Commands;

/// <summary><c>penstock proxy</c>: balances over some servers without a configuration file.</summary>
internal static class ProxyCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<IReadOnlyList<BackendConfig>> to = OptionSyntax.ReadMany<BackendConfig>("--to", "URL",
            "A backend, such as http://10.0.0.5:3000; repeat the option for more", ConfigValue.TryBackend);
        to.Required = true;
        Option<BalanceAlgorithm> balance = OptionSyntax.Read<BalanceAlgorithm>("--balance", "NAME",
            $"{ConfigValue.Balance.Text.Replace("`", "")} [default: {ConfigValue.Balance.Samples[0]}]",
            ConfigValue.TryBalance);
        balance.CompletionSources.Clear(); // the names in the code
        balance.CompletionSources.Add([.. ConfigValue.Balance.Samples]);
        Option<double> rate = OptionSyntax.Read<double>("--rate", "RATE",
            "How fast each client's bucket refills, such as 10/s or 600/m; needs --capacity", ConfigValue.TryRate);
        Option<long> capacity = OptionSyntax.Number<long>("--capacity", "N",
            "Tokens in each client's full bucket: how many requests it can send at once; needs --rate", 1,
            ClientsCommand.MaxCapacity);
        var server = new ServerOptions(terminal, "0.0.0.0:8080", "memory");
        var command = new PenstockCommand("proxy", "Balance over the given servers, without a configuration file.",
            "penstock proxy --to http://127.0.0.1:9001 --to http://127.0.0.1:9002",
            "penstock proxy --to http://127.0.0.1:9001 --rate 10/s --capacity 20 --admin off")
        { to, balance, rate, capacity };
        server.AddTo(command);
        command.SetAction(async (parse, stop) =>
        {
            (ConfigNode? hasCapacity, ConfigNode? hasRate) =
                (ServerOptions.Text(parse, capacity), ServerOptions.Text(parse, rate));
            if (hasRate is not null && hasCapacity is null)
            {
                return UsageError("--rate needs --capacity: how many requests a client can send at once, such as "
                    + "--capacity 20");
            }
            if (hasCapacity is not null && hasRate is null)
            {
                return UsageError("--capacity needs --rate: how fast the bucket refills, such as --rate 10/s");
            }
            if (hasRate is not null && Limiter.Fault(parse.GetValue(capacity), parse.GetValue(rate)) is { } fault)
            {
                return UsageError($"--capacity, --rate: {fault}");
            }

            ConfigNode upstream = OptionTree.Map(
                ("backends", OptionTree.List(parse.GetResult(to)!.Tokens.Select(
                    token => OptionTree.Value(token.Value, to.Name)))),
                ("balance", ServerOptions.Text(parse, balance)));
            ConfigNode? limit = hasRate is null ? null : OptionTree.Map(("capacity", hasCapacity), ("rate", hasRate));
            return await server.RunAsync(server.Build(parse, "default", upstream, limit, "memory"), stop);
        });
        return command;

        int UsageError(string message) => terminal.Fail(message, ExitCode.Usage);
    }
}
