using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

public sealed class ServerTests
{
    private const string Limit = """{"capacity":1,"rate_per_sec":1}""";

    [Fact]
    public async Task Unknown_path_or_method_has_a_json_body()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("GET", "/nothing")).IsError(404, "/nothing");
        (await admin.SendAsync("GET", "/clients/a/b")).IsError(404, "/clients/a/b");
        (await admin.SendAsync("GET", "/docs/nothing.js")).IsError(404);
        Answer answer = (await admin.SendAsync("DELETE", "/clients")).IsError(405, "DELETE");
        Assert.Contains("GET", answer.Allow);
        Assert.Contains("POST", answer.Allow);
    }

    [Fact]
    public async Task Probes_answer_to_get_and_head()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Assert.Equal((200, """{"status":"alive"}"""), Short(await admin.SendAsync("GET", "/livez")));
        Assert.Equal(
            (200, """{"status":"ready","checks":{"proxy":{"status":"ok"},"store":{"status":"ok"}}}"""),
            Short(await admin.SendAsync("GET", "/readyz")));
        Assert.Equal((200, ""), Short(await admin.SendAsync("HEAD", "/livez")));
    }

    [Fact]
    public async Task Readiness_ends_when_the_proxy_stops()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        await admin.Host.Proxy.StopAsync(new(canceled: true));

        Answer answer = await admin.SendAsync("GET", "/readyz");
        Assert.Equal((503, "stopping"), (answer.Status, answer["status"].GetString()));
        Assert.Equal(200, (await admin.SendAsync("GET", "/livez")).Status);
    }

    [Fact]
    public async Task Upstreams_are_the_proxys()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer answer = await admin.SendAsync("GET", "/upstreams");

        Assert.Equal(200, answer.Status);
        Assert.Equal(admin.Host.Proxy.Upstreams().Select(upstream => upstream.Name),
            answer["items"].EnumerateArray().Select(item => item.GetProperty("name").GetString()!));
    }

    [Fact]
    public async Task Docs_are_the_swagger_page()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Assert.Contains("swagger-ui", (await admin.SendAsync("GET", "/docs/index.html")).Body);
        Assert.Contains("/openapi/v1.json", (await admin.SendAsync("GET", "/docs/index.js")).Body);
        Assert.Equal(200, (await admin.SendAsync("GET", "/docs/swagger-ui-bundle.js")).Status);
    }

    [Fact]
    public async Task Committed_openapi_document_is_the_running_one()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        string path = Path.Combine(Repository.Root, "docs", "openapi.json");

        string running = (await admin.SendAsync("GET", "/openapi/v1.json")).Body;
        if (Environment.GetEnvironmentVariable("PENSTOCK_ACCEPT") is "1")
        {
            await File.WriteAllTextAsync(path, running.ReplaceLineEndings("\n").TrimEnd() + "\n");
        }

        Assert.True(
            JsonNode.DeepEquals(JsonNode.Parse(running), JsonNode.Parse(await File.ReadAllTextAsync(path))),
            "docs/openapi.json is out of date: run this test with PENSTOCK_ACCEPT=1 and look at the difference");
    }

    [Fact]
    public async Task Token_is_needed_for_everything_but_the_probes_and_the_pages()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync(token: "s3cret");
        Task<Answer> Put(string authorization, string name = "localhost") => admin.SendAsync(
            "PUT", "/clients/a", Limit, headers: [("Authorization", authorization), ("Host", name)]);

        foreach (string path in new[] { "/clients", "/clients/a", "/upstreams", "/x", "/docsx", "/events", "/history" })
        {
            Assert.Equal("Bearer realm=\"penstock\"", (await admin.SendAsync("GET", path)).IsError(401).Authenticate);
        }

        (await admin.SendAsync("GET", "/clients")).IsError(401, "this request needs an admin token: Authorization: ");
        (await Put("Bearer wrong")).IsError(401, "the token was not accepted");
        (await Put("bearer s3cre")).IsError(401, "the token was not accepted");
        Answer scheme = (await Put("s3cret")).IsError(401,
            "the Authorization field does not have the scheme Bearer: write Authorization: Bearer <token>");
        Assert.DoesNotContain("s3cret", scheme.Body);
        (await Put("Basic czNjcmV0")).IsError(401, "the Authorization field does not have the scheme Bearer");
        (await Put("")).IsError(401);
        foreach (string path in new[]
        {
            "/livez", "/readyz", "/docs/index.html", "/docs/index.js", "/openapi/v1.json", "/", "/dashboard/app.js",
        })
        {
            Assert.Equal(200, (await admin.SendAsync("GET", path)).Status);
        }
        (await admin.SendAsync("POST", "/docs/index.html", "{}")).IsError(404);

        Assert.Equal(201, (await Put("Bearer s3cret")).Status);
        Assert.Equal(200, (await Put("bearer s3cret", "penstock.internal:9800")).Status);
        Assert.DoesNotContain(admin.Log.Lines, line => line.Contains("s3cret"));
    }

    [Theory]
    [InlineData("localhost", 201)]
    [InlineData("LOCALHOST:9800", 201)]
    [InlineData("127.0.0.1:1", 201)]
    [InlineData("[::1]:9800", 201)]
    [InlineData("evil.example", 403)]
    [InlineData("localhost.evil.example", 403)]
    [InlineData("127.0.0.1.evil.example:9800", 403)]
    public async Task Host_that_a_page_could_have_rebound_is_rejected(string name, int status)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer answer = await admin.SendAsync("PUT", "/clients/a", Limit, headers: ("Host", name));

        Assert.Equal(status, answer.Status);
        Answer read = await admin.SendAsync("GET", "/clients", headers: ("Host", name));
        Assert.Equal(status == 201 ? 200 : 403, read.Status);
    }

    [Theory]
    [InlineData("http://localhost:9800", 201)]
    [InlineData("http://localhost:9801", 403)]
    [InlineData("http://evil.example", 403)]
    [InlineData("null", 403)]
    public async Task Origin_of_another_page_is_rejected_for_edits(string origin, int status)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        (string, string)[] headers = [("Host", "localhost:9800"), ("Origin", origin)];

        Assert.Equal(status, (await admin.SendAsync("PUT", "/clients/a", Limit, headers: headers)).Status);
        Assert.Equal(200, (await admin.SendAsync("GET", "/clients", headers: headers)).Status);
    }

    [Fact]
    public async Task Body_without_a_type_or_as_curl_sends_it_is_taken_for_json()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        const string Form = "application/x-www-form-urlencoded";

        Assert.Equal(201, (await admin.SendAsync("PUT", "/clients/a", Limit, type: "")).Status);
        Assert.Equal(200, (await admin.SendAsync("PUT", "/clients/a", Limit, Form)).Status);
        Assert.Equal(200, (await admin.SendAsync("PATCH", "/clients/a", Limit, Form + "; charset=utf-8")).Status);
        Assert.Equal(200, (await admin.SendAsync("POST", "/explain", "{}", Form)).Status);
        (await admin.SendAsync("POST", "/clients/import", Limit, Form)).IsError(415, "text/csv");
        (await admin.SendAsync("PUT", "/clients/a")).IsError(400, "not valid JSON");
    }

    [Theory]
    [InlineData("/clients/..%2F..%2Flivez", "../../livez")]
    [InlineData("/clients/%2E%2E", "..")]
    [InlineData("/clients/%61%2520b", "a%20b")]
    [InlineData("/clients/a%3Fb?q=1", "a?b")]
    public async Task Path_is_taken_as_it_was_sent(string target, string clientId)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync(clientId);

        string answer = await SendRawAsync(admin.Host.AdminUrl!, $"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
            + "Connection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 200 ", answer);
        Assert.Contains($"\"client_id\":\"{clientId}\"", answer);
    }

    [Fact]
    public async Task Environment_of_web_applications_has_no_say()
    {
        Environment.SetEnvironmentVariable("ASPNETCORE_URLS", "http://192.0.2.1:80");
        Environment.SetEnvironmentVariable("ASPNETCORE_ENVIRONMENT", "Development");
        try
        {
            await using AdminFixture admin = await AdminFixture.StartAsync();
            Assert.Equal("127.0.0.1", admin.Host.AdminUrl!.Host);
            Assert.Equal(200, (await admin.SendAsync("GET", "/livez")).Status);
            Assert.DoesNotContain(admin.Log.Lines, line => line.Contains("192.0.2.1"));
        }
        finally
        {
            Environment.SetEnvironmentVariable("ASPNETCORE_URLS", null);
            Environment.SetEnvironmentVariable("ASPNETCORE_ENVIRONMENT", null);
        }
    }

    private static (int Status, string Body) Short(Answer answer) => (answer.Status, answer.Body);

    private static async Task<string> SendRawAsync(Uri url, string request)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(url.Host, url.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(tcp.GetStream());
        return await reader.ReadToEndAsync();
    }
}
