using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Diagnostics about a configuration with a fault never contain a secret.</summary>
public sealed class SecretsTests
{
    private const string Secret = "s3cr3t";

    [Theory]
    [InlineData("admin: { token: s3cr3t, lisen: 127.0.0.1:9800 }")]
    [InlineData("admin: { lisen: 127.0.0.1:9800, token: \"s3cr3t\" }")]
    [InlineData("admin: { token: [s3cr3t] }")]
    [InlineData("admin: { tokn: s3cr3t }")]
    [InlineData("admin: { tokens: [{ name: ops, sha256: s3cr3t }] }")]
    [InlineData("admin:\n  tokens:\n  - { name: ops, token: s3cr3t }")]
    [InlineData("admin: { tokens: s3cr3t }")]
    [InlineData("admin: { tokens: { ops: pst_s3cr3t } }\nbalance: pst_s3cr3t")]
    [InlineData("admin: { token: pst_s3cr3t }")]
    [InlineData("admin:\n  token: \"s3cr3t")]
    [InlineData("admin:\n  token s3cr3t")]
    [InlineData("admin:\n  token: ab\t'{s3cr3t")]
    [InlineData("admin:\n  token: ${UNSET:-s3cr3t}${UNSET}")]
    [InlineData("admin:\n  token: >\n    s3cr3t ${UNSET}")]
    [InlineData("admin: { lisen: 1, token: \"${STORE}s3cr3t\" }")]
    [InlineData("admin: { lisen: 1, token: s3cr3t${STORE} }")]
    [InlineData("admin: { lisen: 1, token: $${s3cr3t} }")]
    [InlineData("admin: { lisen: 1, token: \"${STORE:-s3cr3t}\" }")]
    [InlineData("admin: { lisen: 1, token: \"${s3cr3t-}\" }")]
    [InlineData("admin: { lisen: 1, token: '${STORE} s3cr3t' }")]
    [InlineData("admin: [\n  token: ${STORE}s3cr3t")]
    [InlineData("admin: [\n  token: ${STORE} # s3cr3t")]
    [InlineData("admin: [\n  token: \"${STORE}\"s3cr3t")]
    [InlineData("admin:\n  listen: 127.0.0.1:9800\n  token: s3cr3t\n  token: s3cr3t")]
    [InlineData("store: postgres://me:s3cr3t@db/penstock?sslmod=require")]
    [InlineData("store: postgres://me:s3cr3t@x@db/penstock?sslmode=x")]
    [InlineData("store: postgres://me:s3cr3t@db")]
    [InlineData("store: postgres:/me:s3cr3t@db/x")]
    [InlineData("store: postgress://me:s3cr3t@db/x")]
    [InlineData("store: postgres://db/penstock?user=me&password=s3cr3t&foo=1")]
    [InlineData("store: host=db user=me password=s3cr3t")]
    [InlineData("store: { url: \"postgres://me:s3cr3t@db/x\" }")]
    [InlineData("storre: postgres://me:s3cr3t@db/x")]
    [InlineData("store: ${STORE}")]
    [InlineData("backends: [http://me:s3cr3t@127.0.0.1:9001]")]
    [InlineData("upstreams: { web: { backends: [{ url: \"http://me:s3cr3t@h:1/\" }] } }")]
    [InlineData("database_password: s3cr3t")]
    [InlineData("tls: { acme: { eab: { kid: a, hmac_key: s3cr3t! } } }")]
    [InlineData("tls:\n  acme:\n    eab:\n      hmac_key s3cr3t")]
    [InlineData("{ \"admin\": { \"token\": \"s3cr3t\" \"listen\": 1 } }")]
    public void Fault_in_a_line_with_a_secret_is_told_without_it(string text)
    {
        foreach (string file in (string[])["penstock.yaml", "penstock.json"])
        {
            IReadOnlyList<Diagnostic> diagnostics = ConfigLoader.Parse(file, text + "\n", name => name == "STORE"
                ? "postgres://me:s3cr3t@db/x?sslmod=1" : null).Diagnostics;
            Assert.Contains(diagnostics, static d => d.Severity == Severity.Error);
            using var asText = new StringWriter();
            using var asJson = new StringWriter();
            DiagnosticWriter.WriteText(asText, file, diagnostics, color: false);
            DiagnosticWriter.WriteJson(asJson, file, diagnostics);
            Assert.DoesNotContain(Secret, asText.ToString());
            Assert.DoesNotContain(Secret, asJson.ToString());
        }
    }

    [Fact]
    public void Fault_beside_a_secret_is_still_pointed_at()
    {
        IReadOnlyList<Diagnostic> diagnostics = ConfigLoader.Parse("penstock.yaml",
            "admin: { token: s3cr3t, lisen: 127.0.0.1:9800 }\nbackends: [http://127.0.0.1:1]\n", _ => null).Diagnostics;

        Diagnostic diagnostic = Assert.Single(diagnostics);
        Assert.Equal("unknown key 'lisen'", diagnostic.Message);
        Assert.Equal("admin: { token: ******, lisen: ************** }", diagnostic.SourceLine);
        Assert.Equal(25, diagnostic.Column);
    }

    [Theory]
    [InlineData("token: \"${TOKEN}\", lisen: 1:2", "token: \"${TOKEN}\", lisen: ***")]
    [InlineData("token: '${TOKEN}', lisen: 1:2", "token: '${TOKEN}', lisen: ***")]
    [InlineData("token: \"${TOKEN}\", lisen: \"${OTHER}\"", "token: \"${TOKEN}\", lisen: \"${OTHER}\"")]
    [InlineData("token: \"${UNSET}\", lisen: 1:2", "token: \"${UNSET}\", lisen: ***")]
    [InlineData("token: ${TOKEN}, lisen: 1:2", "token: ${TOKEN}, lisen: 1:2")] // not valid YAML, so not read
    [InlineData("token: \"${TOKEN}${TOKEN}\", lisen: 1:2", "token: ******************, lisen: ***")]
    [InlineData("token: \"a${TOKEN}\", lisen: 1:2", "token: ***********, lisen: ***")]
    [InlineData("token: \"${TOKEN} \", lisen: 1:2", "token: ***********, lisen: ***")]
    public void Reference_to_a_variable_is_no_secret(string keys, string shown)
    {
        IReadOnlyList<Diagnostic> diagnostics = ConfigLoader.Parse("penstock.yaml",
            $"admin: {{ {keys} }}\nbackends: [http://127.0.0.1:1]\n", static name => name == "UNSET" ? null : Secret)
            .Diagnostics;

        Assert.NotEmpty(diagnostics);
        Assert.All(diagnostics, diagnostic => Assert.Equal($"admin: {{ {shown} }}", diagnostic.SourceLine));
    }

    [Fact]
    public void Unknown_key_beside_a_secret_one_may_be_the_secret()
    {
        IReadOnlyList<Diagnostic> diagnostics =
            ConfigLoader.Parse("penstock.yaml", "admin: { foo: s3cr3t }\n", _ => null).Diagnostics;

        Assert.Contains("admin: { foo: ****** }", diagnostics.Select(static d => d.SourceLine));
    }

    [Theory]
    [InlineData("  - { host: api.example.com, path: /v1/*, upstream: web, limit: default }")]
    [InlineData("  identify: [header:X-API-Key, header:X-Client-ID, query:client_id, address]")]
    [InlineData("    backends: [http://127.0.0.1:9001, http://localhost:9002]")]
    [InlineData("timeouts: { connect: 2s, head: 10s }")]
    [InlineData("  hash: { key: header:X-User }")]
    public void Line_without_a_secret_stays_as_it_is(string line) => Assert.Equal(line, Secrets.HideInLine(line));
}
