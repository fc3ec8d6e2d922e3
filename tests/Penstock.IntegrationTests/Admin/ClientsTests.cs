using System.Text.Json;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

public sealed class ClientsTests
{
    private const string User1 = """{"client_id":"user1","capacity":100,"rate_per_sec":10}""";

    [Fact]
    public async Task Post_of_a_new_client_creates_it_with_a_full_bucket()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer created = await admin.SendAsync("POST", "/clients", User1);

        Assert.Equal(201, created.Status);
        Assert.Equal("/clients/user1", created.Location);
        Assert.Equal("""{"client_id":"user1","capacity":100,"rate_per_sec":10,"current_tokens":100}""", created.Body);
        Assert.True(admin.Host.Proxy.Limiter.Clients.TryGet("user1", out ClientState client));
        Assert.Equal(new(100, 10), client.Limit);
        Answer read = await admin.SendAsync("GET", created.Location!);
        string expected = created.Body[..^1] + ",\"full_in_seconds\":0}";
        Assert.Equal((200, expected, created.ETag), (read.Status, read.Body, read.ETag));
        Assert.NotNull(read.ETag);
    }

    [Fact]
    public async Task Post_with_tokens_and_a_fractional_rate_keeps_both()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        await admin.SendAsync("POST", "/clients",
            """{"client_id":"client9","capacity":100.0,"rate_per_sec":0.005,"current_tokens":50}""");

        Answer read = await admin.SendAsync("GET", "/clients/client9");
        Assert.Equal(0.005, read["rate_per_sec"].GetDouble());
        Assert.InRange(read["current_tokens"].GetDouble(), 50, 51);
    }

    [Fact]
    public async Task Post_of_a_client_that_exists_is_a_conflict_and_changes_nothing()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("user1", 7, 3);

        (await admin.SendAsync("POST", "/clients", User1)).IsError(409, "client 'user1' exists already");

        Assert.Equal(7, (await admin.SendAsync("GET", "/clients/user1"))["capacity"].GetInt32());
    }

    [Fact]
    public async Task Post_of_one_id_by_many_at_once_succeeds_once()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer[] answers = await Task.WhenAll(
            Enumerable.Range(0, 32).Select(_ => admin.SendAsync("POST", "/clients", User1)));

        Assert.Single(answers, answer => answer.Status == 201);
        Assert.Equal(31, answers.Count(answer => answer.Status == 409));
    }

    [Fact]
    public async Task Body_with_many_faults_is_told_all_of_them()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", "/clients",
                """{"client_id":7,"capacity":"100","rate_per_sec":null,"current_tokens":-1,"burst":3,"burst":4}"""))
            .HasFaults(
                "client_id must be a text, not a number",
                "capacity must be a number, not a text",
                "rate_per_sec must be a number, not null",
                "current_tokens must not be negative",
                "burst is not known; known are client_id, capacity, rate_per_sec, current_tokens, "
            + "plan, access, limits",
                "burst is given twice");
        (await admin.SendAsync("POST", "/clients", "{}")).HasFaults(
            "client_id is required", "capacity is required", "rate_per_sec is required");
        (await admin.SendAsync("PUT", "/clients/a", "{}")).HasFaults(
            "capacity is required", "rate_per_sec is required");
        (await admin.SendAsync("POST", "/clients",
                """{"client_id":"a","capacity":10,"rate_per_sec":1e999,"current_tokens":11}"""))
            .HasFaults("rate_per_sec is too large", "current_tokens must not be above the capacity, 10");
        (await admin.SendAsync("POST", "/clients", """{"client_id":"a","capacity":1.5,"rate_per_sec":[]}"""))
            .HasFaults("capacity must be a whole number", "rate_per_sec must be a number, not a list");
    }

    [Theory]
    [InlineData("capacity", "0", "1")]
    [InlineData("capacity", "1000000001", "1")]
    [InlineData("capacity", "1e300", "1")]
    [InlineData("rate_per_sec", "1", "0")]
    [InlineData("rate_per_sec", "1", "-1")]
    [InlineData("rate_per_sec", "1", "1e12")]
    public async Task Limit_that_the_limiter_rejects_is_a_fault_of_its_member(
        string field, string capacity, string rate)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer answer = await admin.SendAsync(
            "POST", "/clients", $$"""{"client_id":"a","capacity":{{capacity}},"rate_per_sec":{{rate}}}""");

        JsonElement fault = Assert.Single(answer.IsError(400)["errors"].EnumerateArray());
        Assert.Equal(field, fault.GetProperty("field").GetString());
        Assert.Equal(0, admin.Host.Proxy.Limiter.Clients.Count);
    }

    [Theory]
    [InlineData("", "the body is not valid JSON")]
    [InlineData("{\"client_id\":", "the body is not valid JSON")]
    [InlineData("{} {}", "the body is not valid JSON")]
    [InlineData("{\"client_id\":\"\\ud800\"}", "not valid Unicode")]
    [InlineData("[1]", "must be a JSON object, not a list")]
    [InlineData("null", "must be a JSON object, not null")]
    public async Task Body_that_is_no_json_object_is_rejected(string body, string message)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", "/clients", body)).IsError(400, message);
    }

    [Fact]
    public async Task Body_of_another_type_or_too_large_is_rejected()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", "/clients", User1, "text/plain")).IsError(415, "application/json");
        (await admin.SendAsync("POST", "/clients", User1, "text/csv; charset=utf-8")).IsError(415, "application/json");
        (await admin.SendAsync("PUT", "/clients/a", "a=b", "application/x-www-form-urlencoded"))
            .IsError(400, "not valid JSON");
        (await admin.SendAsync("POST", "/clients", User1 + new string(' ', 100_000))).IsError(413, "65536 bytes");
    }

    [Theory]
    [InlineData("123.5.6.7:890")]
    [InlineData("2001:db8::/64")]
    [InlineData("a/b")]
    [InlineData("a%2Fb")]
    [InlineData("50% off?&#+=;\\\"<>")]
    [InlineData("reset")]
    [InlineData("имя 🚰 with spaces")]
    [InlineData("...")]
    public async Task Client_id_of_any_printable_text_goes_through_its_whole_life(string id)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync(id);
        string target = "/clients/" + Uri.EscapeDataString(id);

        Assert.Equal(id, (await admin.SendAsync("GET", target))["client_id"].GetString());
        Assert.Equal(200, (await admin.SendAsync("PUT", target, """{"capacity":10,"rate_per_sec":1}""")).Status);
        Assert.Equal(10, (await admin.SendAsync("POST", target + "/reset"))["current_tokens"].GetDouble());
        Answer sibling = await admin.SendAsync("PUT", target + "2", """{"capacity":10,"rate_per_sec":1}""");
        Assert.Equal((201, target + "2"), (sibling.Status, sibling.Location));
        Assert.Equal(204, (await admin.SendAsync("DELETE", target)).Status);
        Assert.False(admin.Host.Proxy.Limiter.Clients.TryGet(id, out _));
        (await admin.SendAsync("GET", target)).IsError(404, id);
    }

    [Theory]
    [InlineData("", "must have 1 to 256 bytes of UTF-8")]
    [InlineData("\\u0007", "must hold printable characters only")]
    [InlineData("a\\nb", "must hold printable characters only")]
    [InlineData("a\\u2028b", "must hold printable characters only")]
    [InlineData(" a", "must not begin or end with a space")]
    [InlineData("a ", "must not begin or end with a space")]
    public async Task Client_id_that_no_request_could_carry_is_rejected(string id, string message)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("POST", "/clients", $$"""{"client_id":"{{id}}","capacity":1,"rate_per_sec":1}"""))
            .HasFaults("client_id " + message);
    }

    [Fact]
    public async Task Client_id_of_256_bytes_is_the_longest()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        const string Limit = """{"capacity":1,"rate_per_sec":1}""";

        Assert.Equal(201, (await admin.SendAsync("PUT", "/clients/" + new string('я', 128), Limit)).Status);
        (await admin.SendAsync("PUT", "/clients/" + new string('я', 129), Limit))
            .HasFaults("client_id must have 1 to 256 bytes of UTF-8");
    }

    [Fact]
    public async Task Put_of_a_client_creates_it_and_then_changes_it_keeping_the_tokens()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer created = await admin.SendAsync("PUT", "/clients/a",
            """{"capacity":100,"rate_per_sec":0.001,"current_tokens":50}""");
        Assert.Equal((201, "/clients/a"), (created.Status, created.Location));

        Answer wider = await admin.SendAsync("PUT", "/clients/a", """{"capacity":200,"rate_per_sec":0.001}""");
        Assert.Equal((200, 200), (wider.Status, wider["capacity"].GetInt32()));
        Assert.InRange(wider["current_tokens"].GetDouble(), 50, 51);

        Answer narrower = await admin.SendAsync("PUT", "/clients/a", """{"capacity":20,"rate_per_sec":0.001}""");
        Assert.Equal(20, narrower["current_tokens"].GetDouble());

        string readBack = (await admin.SendAsync("GET", "/clients/a")).Body;
        Assert.Equal(200, (await admin.SendAsync("PUT", "/clients/a", readBack)).Status);
        (await admin.SendAsync("PUT", "/clients/b", readBack)).HasFaults("client_id must equal the id in the path");
    }

    [Fact]
    public async Task Patch_changes_what_it_names_and_nothing_else()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("a", 100, 50);

        Answer answer = await admin.SendAsync(
            "PATCH", "/clients/a", """{"rate_per_sec":0.002}""", "application/merge-patch+json");
        Assert.Equal((200, 100, 0.002),
            (answer.Status, answer["capacity"].GetInt32(), answer["rate_per_sec"].GetDouble()));
        Assert.InRange(answer["current_tokens"].GetDouble(), 50, 51);

        Answer tokens = await admin.SendAsync("PATCH", "/clients/a", """{"current_tokens":0}""");
        Assert.InRange(tokens["current_tokens"].GetDouble(), 0, 1);

        (await admin.SendAsync("PATCH", "/clients/a", """{"current_tokens":101}"""))
            .HasFaults("current_tokens must not be above the capacity, 100");
        (await admin.SendAsync("PATCH", "/clients/a", """{"capacity":null}"""))
            .HasFaults("capacity must be a number, not null");
        (await admin.SendAsync("PATCH", "/clients/b", """{"capacity":1}""")).IsError(404, "'b' is not registered");
    }

    [Fact]
    public async Task Reset_and_delete_act_on_registered_clients_only()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("a", 100, 50);

        Answer reset = await admin.SendAsync("POST", "/clients/a/reset");
        Assert.Equal((200, 100), (reset.Status, reset["current_tokens"].GetDouble()));
        (await admin.SendAsync("POST", "/clients/b/reset")).IsError(404);

        Answer deleted = await admin.SendAsync("DELETE", "/clients/a");
        Assert.Equal((204, ""), (deleted.Status, deleted.Body));
        (await admin.SendAsync("DELETE", "/clients/a")).IsError(404);
        Assert.Equal(0, admin.Host.Proxy.Limiter.Clients.Count);
    }

    [Fact]
    public async Task If_match_lets_an_edit_pass_only_on_the_settings_it_saw()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("a");
        string etag = (await admin.SendAsync("GET", "/clients/a")).ETag!;
        Task<Answer> Send(string method, string match, string? body = null) =>
            admin.SendAsync(method, "/clients/a", body, headers: ("If-Match", match));

        Answer patched = await Send("PATCH", etag, """{"capacity":200}""");
        Assert.Equal(200, patched.Status);
        Assert.NotEqual(etag, patched.ETag);

        (await Send("PATCH", etag, """{"capacity":300}""")).IsError(412);
        (await Send("PUT", etag, """{"capacity":300,"rate_per_sec":1}""")).IsError(412);
        (await Send("DELETE", etag)).IsError(412);
        Assert.Equal(200, (await admin.SendAsync("GET", "/clients/a"))["capacity"].GetInt32());

        Assert.Equal(200, (await Send("PATCH", $"\"x\", {patched.ETag}", """{"capacity":201}""")).Status);
        Assert.Equal(204, (await Send("DELETE", "*")).Status);
        (await Send("PUT", "*", """{"capacity":300,"rate_per_sec":1}""")).IsError(412);
    }

    [Fact]
    public async Task List_pages_by_cursor_and_filters_by_text()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        foreach (string id in new[] { "b/1", "a/1", "a/2", "a/3", "ю" })
        {
            await admin.CreateAsync(id);
        }

        var seen = new List<string>();
        string? cursor = null;
        do
        {
            Answer page =
                await admin.SendAsync("GET", "/clients?limit=2" + (cursor is null ? "" : "&cursor=" + cursor));
            Assert.InRange(page["items"].GetArrayLength(), 1, 2);
            seen.AddRange(page["items"].EnumerateArray().Select(item => item.GetProperty("client_id").GetString()!));
            cursor = page["next_cursor"].GetString();
        }
        while (cursor is not null);
        Assert.Equal(["a/1", "a/2", "a/3", "b/1", "ю"], seen);

        Answer found = await admin.SendAsync("GET", "/clients?q=%2F1");
        Assert.Equal(2, found["items"].GetArrayLength());
        Answer none = await admin.SendAsync("GET", "/clients?q=nobody");
        Assert.Equal("""{"items":[],"next_cursor":null}""", none.Body);
    }

    [Fact]
    public async Task List_with_bad_parameters_is_told_all_of_them()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        (await admin.SendAsync("GET", "/clients?limit=0&cursor=!")).HasFaults(
            "limit must be a whole number from 1 to 1000", "cursor must be the next_cursor of an earlier page");
        (await admin.SendAsync("GET", "/clients?limit=1001")).IsError(400);
        (await admin.SendAsync("GET", "/clients?limit=ten")).IsError(400);
    }

    [Fact]
    public async Task Edit_leaves_a_line_in_the_log_that_says_who_and_what()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        await admin.SendAsync("POST", "/clients", User1);
        await admin.SendAsync("PATCH", "/clients/user1", """{"capacity":50}""");
        await admin.SendAsync("DELETE", "/clients/user1");
        await admin.SendAsync("DELETE", "/clients/user1");

        Assert.Equal(
            [
                "loopback from 127.0.0.1: POST /clients was answered 201; "
                    + "client user1: none -> capacity 100, 10/s, 100 tokens",
                "loopback from 127.0.0.1: PATCH /clients/user1 was answered 200; "
                    + "client user1: capacity 100, 10/s, 100 tokens -> capacity 50, 10/s, 50 tokens",
                "loopback from 127.0.0.1: DELETE /clients/user1 was answered 204; "
                    + "client user1: capacity 50, 10/s, 50 tokens -> none",
                "loopback from 127.0.0.1: DELETE /clients/user1 was answered 404",
            ],
            admin.Log.Lines.Where(line => line.StartsWith("loopback", StringComparison.Ordinal)));
    }
}
