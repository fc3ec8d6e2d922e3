using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Callers who must not have their way, for every operation of the OpenAPI document: without a token, with the
/// wrong role, from a web page, and with thousands of random requests. <c>PENSTOCK_CALLS_SEED</c> repeats a run.
/// </summary>
public sealed class HostileCallerTests(ITestOutputHelper output)
{
    private const int Requests = 10_000;

    private static readonly string[] Segments =
    [
        "user1", "user2", "gold", "web", "127.0.0.1:9", "127.0.0.1:9002", "nobody", "export", "..", "%2e%2e", "%2F",
        "a%2Fb", "%00", "%0A", "%ZZ", "%", "%F0%9F%98%80", "%C3%28", "unix:%2Ftmp%2Fx", "x%20y", new('x', 300), ";a=b",
        "[::1]:80", "%25", "~", "{name}",
    ];

    private static readonly string[] QueryValues =
        ["1", "0", "-1", "1001", "99999999999999999999", "", "x", "%00", "true", "false", "csv", "create", "reject"];

    private static readonly string[] Values =
    [
        "null", "0", "-1", "1", "7", "1e308", "1e999", "0.5", "9007199254740993", "true", "\"\"", "\"x\"", "[]", "{}",
        "[null]", "{\"a\":1}", "\"user1\"", "\"gold\"", "\"127.0.0.1:9002\"", "\"drain\"", "\"\\ud800\"", "\"\\u0000\"",
        "\"${HOME}\"", "\"http://a/b?c\"", "\"unix:/x\"", "\"exempt\"", "{\"capacity\":1,\"rate_per_sec\":1}",
        '"' + new string('y', 2000) + '"',
    ];

    private static readonly string[] Garbage =
    [
        "", " ", "{", "}", "[]", "null", "1", "\"x\"", "{}", "{\"\":1}", "\uFEFF{}", "{\"a\":1,\"a\":2}", "{}{}",
        "client_id,capacity\n\"", "a\0b", new('[', 500), new(' ', 70_000), "{\"client_id\":\"é\"}",
    ];

    private static readonly string[] Types =
    [
        "application/json", "application/json", "application/json", "application/merge-patch+json",
        "application/x-www-form-urlencoded", "", "text/csv", "application/x-ndjson", "text/plain",
        "application/json; charset=utf-16", "multipart/form-data; boundary=x", "garbage;;", "*/*",
    ];

    private static readonly string[] Methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"];

    [Fact]
    public async Task Ten_thousand_random_requests_are_no_bug_and_a_rejected_one_changes_nothing()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("PENSTOCK_CALLS_SEED"), out int given) ? given
            : Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await using AdminFixture admin = await AdminFixture.StartAsync(reload: static config => config);
        using var http = new HttpClient { BaseAddress = admin.Host.AdminUrl };
        IReadOnlyList<ApiOperation> operations = await ApiOperation.ReadAllAsync(admin);
        var statuses = new SortedDictionary<int, int>();
        string before = await StateAsync(admin);
        for (int i = 0; i < Requests; i++)
        {
            using HttpRequestMessage request = Any(random, operations, admin.Host.AdminUrl!, out string call);
            int status = await SendAsync(http, request, call);
            statuses[status] = statuses.GetValueOrDefault(status) + 1;
            Assert.True(status < 500, $"request {i}: {status} {call}");
            if (request.Method.Method is not ("GET" or "HEAD"))
            {
                string after = await StateAsync(admin);
                Assert.True(status < 400 || after == before, $"request {i}: {status} {call}\n{before}\n{after}");
                before = after;
            }
        }
        output.WriteLine(string.Join(", ", statuses.Select(static status => $"{status.Key}: {status.Value}")));
        Assert.Empty(((int[])[200, 201, 204, 400, 404, 405, 409, 412, 413, 415]).Except(statuses.Keys));
        Assert.DoesNotContain(admin.Log.Lines, static line => line.Contains("bug", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Operation_needs_its_token_and_its_role()
    {
        string reader = AdminToken.Create();
        await using AdminFixture admin = await AdminFixture.StartAsync(change: config => config with
        {
            Admin = config.Admin with { Tokens = [new("reader", AdminRole.Read, AdminToken.HashOf(reader))] },
        });
        IReadOnlyList<ApiOperation> operations = await ApiOperation.ReadAllAsync(admin);
        string before = await StateAsync(admin, ("Authorization", $"Bearer {reader}"));
        foreach (ApiOperation operation in operations)
        {
            (string? body, string type) = operation.Bodies.First();
            Answer nobody = await admin.SendAsync(operation.Method, operation.ExampleTarget(), body, type);
            Answer read = await admin.SendAsync(operation.Method, operation.ExampleTarget(), body, type,
                ("Authorization", $"Bearer {reader}"));

            Assert.True(operation.IsPublic ? nobody.Status == 200 : nobody.Status == 401,
                $"{operation.Id}: {nobody.Status}");
            Assert.True(operation.NeedsAdmin == (read.Status == 403), $"{operation.Id}: {read.Status} {read.Body}");
            Assert.Equal(operation.NeedsAdmin, operation.Method != "GET"
                && operation.Id is not ("explain" or "simulate"));
        }
        Assert.Equal(["livez", "readyz"], operations.Where(static one => one.IsPublic).Select(static one => one.Id));
        Assert.Equal(before, await StateAsync(admin, ("Authorization", $"Bearer {reader}")));
    }

    [Fact]
    public async Task Operation_rejects_the_host_and_the_origin_of_a_web_page()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        string before = await StateAsync(admin);
        foreach (ApiOperation operation in await ApiOperation.ReadAllAsync(admin))
        {
            (string? body, string type) = operation.Bodies.First();
            Task<Answer> SendAsync(params (string, string)[] headers) =>
                admin.SendAsync(operation.Method, operation.ExampleTarget(), body, type, headers);

            if (!operation.IsPublic)
            {
                (await SendAsync(("Host", "rebound.example:9800"))).IsError(403, "rebound.example");
            }
            if (operation.Method != "GET")
            {
                (await SendAsync(("Origin", "http://evil.example"))).IsError(403, "evil.example");
                (await SendAsync(("Origin", "null"))).IsError(403);
                string own = $"http://{admin.Host.AdminUrl!.Authority}";
                (await SendAsync(("Origin", own), ("Origin", "http://b.example"))).IsError(403);
            }
        }
        Assert.Equal(before, await StateAsync(admin));
    }

    [Theory]
    [InlineData("/docs/../clients")]
    [InlineData("/docs/%2e%2e/clients")]
    [InlineData("/docs/..%2fclients")]
    [InlineData("/docs//clients")]
    [InlineData("/docs;/clients")]
    [InlineData("/livez/../clients")]
    [InlineData("/readyz/clients")]
    [InlineData("/openapi/../clients")]
    [InlineData("/openapi/v1.json/../../clients")]
    [InlineData("//clients")]
    [InlineData("/./clients")]
    [InlineData("/%63lients")]
    [InlineData("/CLIENTS")]
    [InlineData("http://localhost/clients")]
    [InlineData("http://localhost/docs/../clients")]
    public async Task Path_is_no_way_around_the_token(string target)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync(token: "s3cret");
        Uri url = admin.Host.AdminUrl!;
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(url.Host, url.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream());
        string answer = await reader.ReadToEndAsync();

        Assert.Matches("^HTTP/1.1 (400|401|404) ", answer);
        Assert.DoesNotContain("items", answer);
    }

    private static HttpRequestMessage Any(
        Random random, IReadOnlyList<ApiOperation> operations, Uri url, out string call)
    {
        ApiOperation operation = operations[random.Next(operations.Count)];
        string method = random.Next(20) == 0 ? Of(random, Methods) : operation.Method;
        string target = operation.Target(parameter => random.Next(2) == 0
            ? parameter.Example is { } example ? Uri.EscapeDataString(example) : null
            : Of(random, parameter.InPath ? Segments : QueryValues));
        var raw = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        var request = new HttpRequestMessage(new(method), new Uri(url.GetLeftPart(UriPartial.Authority) + target, raw));
        string sent = "";
        (string? example, string type) = Of(random, operation.Bodies.ToArray());
        if (example is not null || random.Next(20) == 0)
        {
            sent = random.Next(5) == 0 ? Of(random, Garbage) : Mutated(random, example ?? "{}");
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(sent));
            // Penstock closes the connection instead of reading the rest of such a body.
            request.Headers.ConnectionClose = sent.Length > AdminServer.MaxBodyBytes;
            type = random.Next(4) == 0 ? Of(random, Types) : type;
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        }
        if (random.Next(10) == 0)
        {
            request.Headers.TryAddWithoutValidation(
                Of(random, "If-Match", "If-None-Match"), Of(random, "*", "\"x\"", "x"));
        }
        call = $"{request.Method} {request.RequestUri!.OriginalString} {request.Headers} "
            + $"{request.Content?.Headers.ContentType} {sent}";
        return request;
    }

    /// <summary>JSON with up to three members changed, added, removed or repeated.</summary>
    private static string Mutated(Random random, string body)
    {
        if (!body.StartsWith('{') || body.Contains('\n'))
        {
            return random.Next(2) == 0 ? body : body.Replace(Of(random, "10", "user", ",", "\n"), Of(random, Values));
        }
        List<string> members = [.. JsonNode.Parse(body)!.AsObject().Select(static member =>
            $"\"{member.Key}\":{member.Value?.ToJsonString() ?? "null"}")];
        for (int changes = random.Next(4); changes > 0 && members.Count > 0; changes--)
        {
            int at = random.Next(members.Count);
            string name = members[at].Split(':')[0];
            string member = $"{(random.Next(4) == 0 ? "\"current_tokens\"" : name)}:{Of(random, Values)}";
            switch (random.Next(4))
            {
                case 0: members.RemoveAt(at); break;
                case 1: members.Add(member); break;
                default: members[at] = member; break;
            }
        }
        return $"{{{string.Join(',', members)}}}";
    }

    private static T Of<T>(Random random, params T[] all) => all[random.Next(all.Length)];

    private static async Task<int> SendAsync(HttpClient http, HttpRequestMessage request, string call)
    {
        try
        {
            using HttpResponseMessage response =
                await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            await StateStream.BodyOf(response);
            return (int)response.StatusCode;
        }
        catch (HttpRequestException) when (call.Length > AdminServer.MaxBodyBytes)
        {
            return 413; // the connection was closed while the rest of the body was sent
        }
        catch (HttpRequestException e)
        {
            throw new InvalidOperationException(call, e);
        }
    }

    /// <summary>What the API can change, without the tokens, which refill.</summary>
    private static async Task<string> StateAsync(AdminFixture admin, params (string, string)[] headers)
    {
        var state = new StringBuilder();
        Answer clients = await admin.SendAsync("GET", "/clients?limit=1000", headers: headers);
        foreach (JsonNode? client in JsonNode.Parse(clients.Body)!["items"]!.AsArray())
        {
            client!.AsObject().Remove("current_tokens");
            state.AppendLine(client.ToJsonString());
        }
        state.AppendLine((await admin.SendAsync("GET", "/plans", headers: headers)).Body);
        foreach (UpstreamStatus upstream in admin.Host.Proxy.Upstreams())
        {
            foreach (BackendStatus b in upstream.Backends)
            {
                state.AppendLine($"{b.Address} {b.Weight} {b.State} {b.MaxConnections} {b.Backup} {b.Added}");
            }
        }
        return state.ToString();
    }
}
