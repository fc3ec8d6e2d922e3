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

    [Theory]
    [InlineData("/readyz", false)]
    [InlineData("/livez", false)]
    [InlineData("/readyz/*", true)]
    [InlineData("/*", true)]
    [InlineData("/readyz, rewrite: { strip_prefix: /readyz }", true)]
    public void Route_for_a_probe_may_lead_to_the_api_without_a_token(string path, bool isFault)
    {
        string faults = string.Join('\n', ConfigText.Faults(
            "listen: 127.0.0.1:70\nadmin: { listen: 127.0.0.1:9800 }\n"
            + "upstreams: { web: { backends: [127.0.0.1:71] }, self: { backends: [127.0.0.1:9800] } }\n"
            + $"routes: [{{ path: {path}, upstream: self }}, {{ upstream: web }}]"));

        Assert.Equal(isFault,
            faults.Contains("upstream 'self' sends requests to the admin API", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("127.0.0.1:9800", "127.0.0.1:9800", true)]
    [InlineData("127.0.0.1:9800", "localhost:9800", true)]
    [InlineData("127.0.0.1:9800", "0.0.0.0:9800", true)]
    [InlineData("127.0.0.1:9800", "127.0.0.1:9801", false)]
    [InlineData("127.0.0.1:9800", "10.0.0.1:9800", false)]
    [InlineData("127.0.0.1:9800", "[::ffff:127.0.0.1]:9800", true)]
    [InlineData("[::1]:9800", "localhost:9800", true)]
    [InlineData("unix:/a.sock", "unix:/a.sock", true)]
    [InlineData("unix:/a.sock", "unix:/b.sock", false)]
    public void Backend_that_is_the_api_needs_a_token(string listen, string backend, bool isApi)
    {
        string faults = string.Join('\n', ConfigText.Faults(File(listen, "''", backend)));
        Assert.Equal(isApi, faults.Contains("upstream 'default' sends requests to the admin API, which has no token: "
            + "everybody could change limits | set admin.token or admin.tokens", StringComparison.Ordinal));
        Assert.DoesNotContain("admin API", string.Join('\n', ConfigText.Faults(File(listen, "secret", backend))));

        static string File(string listen, string token, string backend) =>
            $"listen: 127.0.0.1:70\nadmin: {{ listen: \"{listen}\", token: {token} }}\nbackends: [\"{backend}\"]";
    }

    [Theory]
    [InlineData("0.0.0.0:8080", "127.0.0.1:8080", true)]
    [InlineData("0.0.0.0:8080", "127.0.0.5:8080", true)]
    [InlineData("127.0.0.1:8080", "127.0.0.5:8080", false)]
    [InlineData("0.0.0.0:8080", "10.0.0.1:8080", false)] // that of another machine, as far as anybody can tell
    [InlineData("10.0.0.1:8080", "10.0.0.1:8080", true)]
    [InlineData("10.0.0.1:8080", "localhost:8080", false)]
    [InlineData("unix:/a.sock", "unix:/a.sock", true)]
    public void Backend_that_is_a_listener_is_warned_of(string listen, string backend, bool isLoop) => Assert.Equal(
        isLoop, string.Join('\n', ConfigText.Faults($"listen: \"{listen}\"\nbackends: [\"{backend}\"]"))
            .Contains("is Penstock's own listener: it gets its own requests again and again "
                + "| write the address of the service", StringComparison.Ordinal));
}
