using System.CommandLine;
using System.Text.Json.Nodes;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock token create</c>: makes a token of the admin API. Penstock keeps only its hash, in the
/// configuration file.</summary>
internal static class TokenCommand
{
    public static Command Create(Terminal terminal) =>
        new PenstockCommand("token", "Make tokens of the admin API.", "penstock token create --name ops --role admin")
        {
            CreateToken(terminal),
        };

    private static PenstockCommand CreateToken(Terminal terminal)
    {
        Option<string> role = OptionSyntax.OneOf("--role", "What the token allows: reading, or everything", "read",
            "admin");
        Option<string> name = OptionSyntax.Read<string>("--name", "NAME",
            "Who uses the token, for the log [default: the role]", ConfigValue.TryName);
        var json = new JsonOption();
        var command = new PenstockCommand("create",
            "Make a token, and print it and its line for the configuration file. The token is stored nowhere.",
            "penstock token create",
            "penstock token create --name ops --role admin",
            "penstock token create --json | jq -r .token")
        { role, name, json };
        command.SetAction(parse =>
        {
            string allowed = parse.GetRequiredValue(role);
            string owner = parse.GetValue(name) ?? allowed;
            string token = AdminToken.Create();
            string hash = AdminToken.HashOf(token);
            if (json.IsIn(parse))
            {
                terminal.Out.WriteLine(JsonOption.Text(new JsonObject
                {
                    ["name"] = owner, ["role"] = allowed, ["sha256"] = hash, ["token"] = token,
                }));
                return;
            }
            terminal.Out.WriteLine("The token, which is shown only now:");
            terminal.Out.WriteLine($"  {terminal.Strong(token)}");
            terminal.Out.WriteLine("Its line for admin.tokens in the configuration file, in force after a reload:");
            terminal.Out.WriteLine($"  - {{ name: \"{owner}\", role: {allowed}, sha256: {hash} }}");
        });
        return command;
    }
}
