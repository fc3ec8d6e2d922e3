using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class VariablesTests
{
    private static readonly Dictionary<string, string> Environment = new() { ["TOKEN"] = "s3cret", ["EMPTY"] = "" };

    [Theory]
    [InlineData("${TOKEN}", "s3cret")]
    [InlineData("a-${TOKEN}-${TOKEN}", "a-s3cret-s3cret")]
    [InlineData("${MISSING:-x}", "x")]
    [InlineData("${MISSING:-}", "")]
    [InlineData("${TOKEN:-x}", "s3cret")]
    [InlineData("${EMPTY:-x}", "x")]
    [InlineData("${EMPTY}", "")]
    [InlineData("$$", "$")]
    [InlineData("$${TOKEN}", "${TOKEN}")]
    [InlineData("$5 $", "$5 $")]
    public void Value_is_filled_from_the_environment(string text, string expected)
    {
        Assert.Equal(expected, Token($"backends: [a:1]\nadmin: {{ token: \"{text}\" }}", "penstock.yaml"));
        Assert.Equal(expected, Token($$"""{"backends": ["a:1"], "admin": {"token": "{{text}}"} }""", "penstock.json"));

        static string Token(string config, string file) => ConfigText.Load(config, file, Environment).Admin.Token;
    }

    [Fact]
    public void Variable_cannot_change_the_structure() =>
        Assert.Equal("./x\nloops: 0", ConfigText.Load("backends: [a:1]\naccess_log: \"${T}\"",
            environment: new() { ["T"] = "./x\nloops: 0" }).Proxy.AccessLog.To.Address);

    [Fact]
    public void White_space_around_a_token_is_not_part_of_it() =>
        Assert.Equal("s3cret", ConfigText.Load("backends: [a:1]\nadmin: { token: \"${T}\" }",
            environment: new() { ["T"] = " s3cret\r\n" }).Admin.Token);

    [Fact]
    public void Number_may_come_from_a_variable_in_json() =>
        Assert.Equal(7, ConfigText.Load("""{"backends": ["a:1"], "loops": "${N}"}""", "a.json", new() { ["N"] = "7\n" })
            .Proxy.Loops);

    [Theory]
    [InlineData("token: pre-${MISSING}", "error 2:21+10 environment variable 'MISSING' is not set "
        + "| set it, or write ${MISSING:-default} | ")]
    [InlineData("token: \"${A}${B}\"", "error 2:18+4 environment variable 'A' is not set "
        + "| set it, or write ${A:-default} | ", "error 2:22+4 environment variable 'B' is not set "
        + "| set it, or write ${B:-default} | ")]
    [InlineData("listen: ${MISSING}", "error 2:18+10 environment variable 'MISSING' is not set "
        + "| set it, or write ${MISSING:-default} | ")]
    [InlineData("token: ${1x}", "error 2:17+2 '${' does not begin a variable "
        + "| write ${NAME}, ${NAME:-default}, ${file:/path}, or $$ for a dollar sign | ")]
    [InlineData("token: ${A:-${B}}", "error 2:17+2 '${' does not begin a variable "
        + "| write ${NAME}, ${NAME:-default}, ${file:/path}, or $$ for a dollar sign | ",
        "error 2:22+4 environment variable 'B' is not set | set it, or write ${B:-default} | ")]
    public void Fault_is_reported_once_at_the_variable(string line, params string[] expected)
    {
        string text = $"admin:\n         {line}\nbackends: [a:1]";
        Assert.Equal(expected, ConfigText.Faults(text, environment: Environment));
    }

    [Fact]
    public void Unquoted_variable_in_a_flow_list_is_explained()
    {
        string fault = Assert.Single(ConfigText.Faults("backends: [ ${A} ]"));
        Assert.EndsWith("| put quotes around a value with ${…} | ", fault, StringComparison.Ordinal);
    }
}
