using System.Text.Json.Nodes;
using Penstock.Control.Config;
using Penstock.UnitTests.Config;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class TokenCommandTests
{
    [Theory]
    [InlineData("ops", "admin")]
    [InlineData("null", "read")]
    [InlineData("1.0", "read")]
    public async Task Printed_line_is_valid_in_the_file_and_has_the_hash_of_the_token(string name, string role)
    {
        CommandRun run = await CommandRun.Of("token", "create", "--name", name, "--role", role);

        string[] lines = run.Out.Split('\n');
        Assert.Equal((0, ""), (run.Code, run.Error));
        string token = lines[1].Trim();
        PenstockConfig config = ConfigText.Load($"backends: [a:1]\nadmin:\n  tokens:\n{lines[3]}\n");
        Assert.Equal(new(name, role == "admin" ? AdminRole.Admin : AdminRole.Read, AdminToken.HashOf(token)),
            Assert.Single(config.Admin.Tokens));
        Assert.True(ConfigValue.TryToken(token, out _, out _));
    }

    [Fact]
    public async Task Json_has_the_same_and_a_token_may_read_by_default()
    {
        CommandRun run = await CommandRun.Of("token", "create", "--json");

        JsonNode made = JsonNode.Parse(run.Out)!;
        Assert.Equal(("read", "read"), ((string?)made["name"], (string?)made["role"]));
        Assert.Equal(AdminToken.HashOf((string)made["token"]!), (string?)made["sha256"]);
    }

    [Theory]
    [InlineData("--role", "root", "'root' is not one of read, admin")]
    [InlineData("--name", "two words", "'two words' is not a name")]
    public async Task Bad_option_is_told(string option, string value, string message)
    {
        CommandRun run = await CommandRun.Of("token", "create", option, value);

        Assert.Equal(2, run.Code);
        Assert.Contains(message, run.Error);
    }

    [Theory]
    [InlineData("unix:/nowhere/a.sock", "error: no admin API at unix:/nowhere/a.sock: there is no such file; is", 1)]
    [InlineData("unix:relative", "'unix:relative' is not a socket; write unix:/path", 2)]
    [InlineData("ftp://a", "'ftp://a' is not a URL: write http://host:port or unix:/path", 2)]
    public async Task Address_of_the_api_may_be_a_socket(string admin, string message, int code)
    {
        CommandRun run = await CommandRun.Of("clients", "list", "--admin", admin);

        Assert.Equal(code, run.Code);
        Assert.Contains(message, run.Error);
    }

    [Fact]
    public async Task Damaged_token_is_told_before_it_is_sent()
    {
        CommandRun run = await CommandRun.Of("clients", "list", "--token", AdminToken.Create()[..^1]);

        Assert.Equal(2, run.Code);
        Assert.Contains("error: --token: a character of this token is wrong or missing; copy it again", run.Error);
    }
}
