using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Diagnostics about the socket and the tokens of the admin API.</summary>
public sealed class AdminDiagnosticsTests
{
    private const string Hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; // and one digit more

    [Theory]
    [InlineData("{ mode: 0660 }", "16+4 'mode' is for Unix sockets only | remove it | admin.mode")]
    [InlineData("{ tokens: [{ name: a, sha256: pst_abc }] }", "38+7 sha256: this is not a SHA-256 | write its 64 "
        + "hexadecimal digits, as 'penstock token create' prints them | admin.tokens[0].sha256")]
    [InlineData("{ tokens: [{ name: a, role: root, sha256: " + Hash + "1 }] }",
        "36+4 role: unknown value 'root' | write read or admin | admin.tokens[0].role")]
    [InlineData("{ tokens: [{ name: a, sha256: " + Hash + "1 }, { name: A, sha256: " + Hash + "2 }] }",
        "106+1 duplicate token 'a' | the first is on line 1 | admin.tokens[1]")]
    [InlineData("{ tokens: [{ name: a, sha256: " + Hash + "1 }, { name: b, sha256: " + Hash + "1 }] }",
        "106+1 duplicate SHA-256 of token 'b' | the first is on line 1 | admin.tokens[1]")]
    public void Fault_of_the_socket_or_of_a_token_is_reported(string value, string expected) => Assert.Equal(
        ["error 1:" + expected], ConfigText.Faults($"admin: {value}\nbackends: [a:1]\nlisten: 127.0.0.1:70"));
}
