using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>The key <c>errors</c>: the format of Penstock's own answers.</summary>
public sealed class AnswersConfigTests
{
    private const string Placeholders = "write {{name}} with one of status, phrase, message, reason, fault, detail, "
        + "client, limit, retry_after, request_id, origin, or {{{{ for two braces";

    private const string Backends = "backends: a:1\n";

    [Fact]
    public void Errors_are_read_by_status_and_class()
    {
        IReadOnlyList<AnswerConfig> answers = ConfigText.Load(Backends + """
            errors:
              any: { headers: { Access-Control-Allow-Origin: "*", Vary: [Origin, Accept] } }
              5XX: { body: "<p>{{message}}</p>" }
              429: { body: '{"error":"{{message}}"}', content_type: application/problem+json }
              404: { body: none }
            """).Proxy.Answers;

        Assert.Equal([(400, 599), (500, 599), (429, 429), (404, 404)],
            answers.Select(static a => (a.FirstStatus, a.LastStatus)));
        Assert.Equal(["Access-Control-Allow-Origin: *", "Vary: Origin", "Vary: Accept"],
            answers[0].Fields.Select(static f => $"{f.Name}: {f.Value}"));
        Assert.Equal([null, "text/html; charset=utf-8", "application/problem+json", "text/plain; charset=utf-8"],
            answers.Select(static a => a.Body is null ? null : a.ContentType));
    }

    [Fact]
    public void Body_from_a_file_is_that_beside_the_configuration()
    {
        string folder = Directory.CreateTempSubdirectory("penstock").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "busy.html"), "<h1>{{status}} ${PLAIN}</h1>\n");
            string config = Path.Combine(folder, "penstock.yaml");
            AnswerConfig answer =
                Assert.Single(ConfigText.Load(Backends + "errors: { 503: { file: busy.html } }", config)
                .Proxy.Answers);
            Assert.Equal("<h1>{{status}} ${PLAIN}</h1>\n", answer.Body); // no variables in files
            Assert.Equal("text/html; charset=utf-8", answer.ContentType);

            string fault = Assert.Single(ConfigText.Faults(Backends + "errors: { 503: { file: bsy.html } }", config));
            Assert.StartsWith("error 2:24+8 cannot read 'bsy.html': ", fault, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("429: { body: \"{{mesage}}\" }",
        "2:24+12 body: {{mesage}} is not a placeholder | " + Placeholders + " | errors.429.body")]
    [InlineData("429: { body: \"a {{ b\" }",
        "2:24+8 body: '{{' is not a placeholder | " + Placeholders + " | errors.429.body")]
    [InlineData("200: { body: x }", "2:11+3 '200' is not an error status | write 429, 5xx or any | errors")]
    [InlineData("3xx: { body: x }", "2:11+3 '3xx' is not an error status | write 429, 5xx or any | errors")]
    [InlineData("429: { body: x, file: y }", "2:33+1 'file' and 'body' cannot both be given | remove one of them"
        + " | errors.429.file", 2)]
    [InlineData("429: { content_type: text/html }", "2:32+9 'content_type' needs 'body' or 'file'"
        + " | add one of them, or remove content_type | errors.429.content_type")]
    [InlineData("429: { headers: { Content-Type: x } }", "2:43+1 Content-Type: 'x': Penstock writes this field itself"
        + " | write content_type beside body or file | errors.429.headers.Content-Type")]
    [InlineData("429: { headers: { X-RateLimit-Limit: 1 } }", "2:48+1 X-RateLimit-Limit: '1': Penstock writes this "
        + "field itself | limit_fields turns it on or off | errors.429.headers.X-RateLimit-Limit")]
    [InlineData("429: { headers: { X: \"{{now}}\" } }",
        "2:32+9 X: '{{now}}': {{now}} is not a placeholder | " + Placeholders + " | errors.429.headers.X")]
    [InlineData("429: {}, 429: {}", "2:20+3 duplicate key '429' | the first is on line 2 | errors")]
    [InlineData("5xx: {}, 5XX: {}", "2:20+3 duplicate status '5xx' | the first is on line 2 | errors.5XX")]
    [InlineData("429: { body: \"${NO_SUCH}\" }", "2:25+10 environment variable 'NO_SUCH' is not set"
        + " | set it, or write ${NO_SUCH:-default} | ")]
    public void Fault_is_told(string errors, string expected, int faults = 1)
    {
        string[] lines = ConfigText.Faults(Backends + "errors: { " + errors + " }");
        Assert.Contains("error " + expected, lines);
        Assert.InRange(lines.Length, 1, faults);
    }

    [Fact]
    public void Body_that_could_be_too_large_is_rejected()
    {
        string many = string.Concat(Enumerable.Repeat("{{client}}", 40));
        Assert.Contains("with its placeholders filled in it could have 81920 bytes, more than 65536",
            Assert.Single(ConfigText.Faults(Backends + $"errors: {{ 429: {{ body: \"{many}\" }} }}")),
            StringComparison.Ordinal);
        Assert.Contains("it has more than 32768 characters", Assert.Single(ConfigText.Faults(
            Backends + $"errors: {{ 429: {{ body: \"{new string('x', 32769)}\" }} }}")), StringComparison.Ordinal);
    }

    [Fact]
    public void Preflights_are_counted_unless_they_are_free()
    {
        Assert.True(ConfigText.Load(Backends + "clients: { preflight: free }").Proxy.Clients.ExemptPreflights);
        Assert.False(ConfigText.Load(Backends + "clients: { preflight: counted }").Proxy.Clients.ExemptPreflights);
        Assert.False(ConfigText.Load(Backends).Proxy.Clients.ExemptPreflights);
    }
}
