using System.Text;
using System.Text.Json;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>Penstock's own answers in the format that the operator configured.</summary>
public sealed class AnswerPageTests
{
    private static readonly byte[] Date = "Sat, 21 Nov 2026 04:00:00 GMT"u8.ToArray();

    /// <summary>Bytes of Latin-1 that a client may send as its name.</summary>
    public static TheoryData<string> HostileNames =>
    [
        "plain", "<script>alert('x')</script>", "\"&<>'", "\\", "\r\n\t\0\u001f\u007f", "\u00c3\u00a9",
        "\u00ff\u00fe\u0080", "\u00ed\u00a0\u0080", "{{status}}", new string('<', 300), new string('\u00ff', 300),
    ];

    [Fact]
    public void Body_and_each_field_come_from_the_narrowest_entry()
    {
        AnswerConfig[] configs =
        [
            new(429, 429) { Fields = [new("x-a", "3")], Body = "busy" },
            new(400, 599) { Fields = [new("X-A", "1"), new("X-B", "1"), new("X-B", "2")], Body = "{{status}}" },
            new(500, 599) { Fields = [new("X-B", "5")] },
        ];
        Assert.Equal(["X-B: 1", "X-B: 2", "x-a: 3", "busy"], Custom(429, configs));
        Assert.Equal(["X-A: 1", "X-B: 5", "503"], Custom(503, configs));
        Assert.Equal(["X-A: 1", "X-B: 1", "X-B: 2", "404"], Custom(404, configs));
        Assert.Empty(Custom(404, configs[0]));
    }

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void Name_of_a_client_is_harmless_in_json(string name)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(name);
        (_, string body) = Answer(429, [new(429, 429)
        {
            Body = "{\"who\":\"{{client}}\",\"wait\":{{retry_after}}}", ContentType = "application/json",
        }], e => e.ClientName = bytes);
        Assert.All(body, static c => Assert.InRange(c, ' ', '~'));
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.Equal(Encoding.UTF8.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, 256))),
            json.RootElement.GetProperty("who").GetString());
    }

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void Name_of_a_client_is_harmless_in_markup_text_and_fields(string name)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(name);
        foreach (string type in (string[])["text/html; charset=utf-8", "application/xhtml+xml", "image/svg+xml"])
        {
            (_, string html) = Answer(404, [new(404, 404) { Body = "<b>{{ client }}</b>", ContentType = type }],
                e => e.ClientName = bytes);
            string inner = html["<b>".Length..^"</b>".Length];
            Assert.All(inner, static c => Assert.InRange(c, ' ', '~'));
            Assert.DoesNotContain(inner, static c => c is '<' or '>' or '"' or '\'');
            Assert.DoesNotMatch("&(?!#x[0-9a-f]+;)", inner);
        }
        (string[] head, string text) = Answer(404,
            [new(404, 404) { Body = "{{client}}", Fields = [new("X", "{{client}}")] }], e => e.ClientName = bytes);
        Assert.DoesNotContain(text, static c => c is < ' ' or '\u007f');
        Assert.All(Assert.Single(head, static l => l.StartsWith("X: ", StringComparison.Ordinal)),
            static c => Assert.InRange(c, ' ', '~'));
    }

    [Fact]
    public void Placeholders_stand_for_what_they_say()
    {
        (string[] head, string body) = Answer(400, [new(400, 499)
        {
            Fields = [new("X-Id", "{{request_id}}/{{status}}")],
            Body = "{{status}}|{{phrase}}|{{message}}|{{reason}}|{{fault}}|{{detail}}|{{client}}|{{limit}}|"
                + "{{retry_after}}|{{request_id}}|{{{{x}}|{ {x} }|$",
        }], static e =>
        {
            e.Outcome = Outcome.BadRequest;
            e.Fault = HttpFault.HostMissing;
        });
        Assert.Equal("400|Bad Request|Bad request|bad_request|host_missing|The Host field is missing|||0|the-id|{{x}}|"
            + "{ {x} }|$", body);
        Assert.Contains("X-Id: the-id/400", head);
        Assert.Contains("Content-Type: text/plain; charset=utf-8", head);
    }

    [Fact]
    public void Rejection_tells_limit_and_wait_and_its_retry_after_can_be_replaced()
    {
        (string[] head, string body) = Answer(429, [new(429, 429)
        {
            Body = "{{limit}} {{retry_after}}", Fields = [new("Retry-After", "3600")],
        }], static e => e.Charge("default", new LimitConfig(2, 0.1), 3));
        Assert.Equal("default 10", body);
        Assert.Equal("Retry-After: 3600",
            Assert.Single(head, static l => l.StartsWith("Retry-After", StringComparison.Ordinal)));
        Assert.Contains("RateLimit: \"default\";r=0;t=10", head);
    }

    [Theory]
    [InlineData("Origin: https://a.example\r\n", "Access-Control-Allow-Origin: https://a.example")]
    [InlineData("", null)]
    public void Field_of_placeholders_that_stand_for_nothing_is_left_out(string fields, string? expected)
    {
        (string[] head, _) = Answer(429, [new(429, 429)
        {
            Fields = [new("Access-Control-Allow-Origin", "{{origin}}"), new("Vary", "Origin")],
        }], static _ => { }, fields);
        Assert.Equal(expected, head.SingleOrDefault(static l => l.StartsWith("Access", StringComparison.Ordinal)));
        Assert.Contains("Vary: Origin", head);
        Assert.Contains("Content-Type: application/json", head);
    }

    [Fact]
    public void Largest_answer_fits_its_bound()
    {
        string body = string.Concat(Enumerable.Repeat("{{client}}{{detail}}", 15));
        Assert.Null(AnswerRules.BodyFault(body, "text/html"));
        byte[] worst = Encoding.Latin1.GetBytes(new string('\u00ff', 256));
        (_, string html) = Answer(400, [new(400, 599) { Body = body, ContentType = "text/html" }], e =>
        {
            e.ClientName = worst;
            e.Fault = HttpFault.BadRequestLine;
        });
        Assert.InRange(html.Length, 15 * 256 * 8, AnswerRules.MaxBodyBytes);
    }

    /// <summary>The fields that the operator configured, and the body if it is configured.</summary>
    private static string[] Custom(int status, params AnswerConfig[] configs)
    {
        (string[] head, string body) = Answer(status, configs);
        return [.. head.Where(static l => l.StartsWith("X-", StringComparison.OrdinalIgnoreCase)
            && !l.StartsWith("X-Request-Id", StringComparison.Ordinal)), .. body.StartsWith('{') ? [] : new[] { body }];
    }

    private static (string[] Head, string Body) Answer(
        int status, AnswerConfig[] configs, Action<Exchange>? change = null, string fields = "")
    {
        byte[] request = Encoding.Latin1.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        var exchange = new Exchange(HeadBounds.Default) { RequestId = "the-id"u8, Status = status };
        Assert.Equal(ParseStatus.Complete, exchange.Request.Parse(request));
        if (status == 429)
        {
            exchange.Charge("default", new LimitConfig(1, 1), 2);
        }
        change?.Invoke(exchange);
        byte[] room = new byte[128 * 1024];
        var to = new HeadWriter(room);
        int length = ResponseWriter.WriteAnswer(ref to, exchange, Date, keepAlive: true,
            new AnswerPages(configs).For(status), request);
        string text = Bytes.Text(room.AsSpan(0, to.Length));
        int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        string[] head = text[..end].Split("\r\n");
        Assert.Contains($"Content-Length: {length}", head);
        Assert.Equal(length, text.Length - end - 4);
        return (head, text[(end + 4)..]);
    }
}
