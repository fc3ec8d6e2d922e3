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
            "round_robin, least_connections, random or power_of_two [default: round_robin]", ConfigValue.TryBalance);
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
            LimitConfig? limit = null;
            (bool hasRate, bool hasCapacity) =
                (parse.GetResult(rate) is not null, parse.GetResult(capacity) is not null);
            if (hasRate && hasCapacity)
            {
                limit = new(parse.GetValue(capacity), parse.GetValue(rate));
            }
            else if (hasRate)
            {
                return UsageError("--rate needs --capacity: how many requests a client can send at once, such as "
                    + "--capacity 20");
            }
            else if (hasCapacity)
            {
                return UsageError("--capacity needs --rate: how fast the bucket refills, such as --rate 10/s");
            }

            if (limit is not null && Limiter.Fault(limit.Capacity, limit.RatePerSecond) is { } fault)
            {
                return UsageError($"--capacity, --rate: {fault}");
            }

            var upstream = new UpstreamConfig
            {
                Name = "default",
                Backends = parse.GetRequiredValue(to),
                Balance = parse.GetValue(balance),
            };
            return await Serving.RunAsync(server.Build(parse, upstream, limit, "memory"), [], terminal, stop);
        });
        return command;

        int UsageError(string message) => terminal.Fail(message, ExitCode.Usage);
    }
}
