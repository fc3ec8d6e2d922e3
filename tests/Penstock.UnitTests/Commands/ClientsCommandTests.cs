using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary>The commands against an admin API whose every answer a test writes itself.</summary>
public sealed class ClientsCommandTests : IAsyncLifetime
{
    private const string User1 = """{"client_id":"user1","capacity":100,"rate_per_sec":0.5,"current_tokens":99.5}""";

    private readonly WebApplication _admin = FakeAdminApi.QuietApplication();
    private readonly List<string> _requests = [];
    private readonly Queue<(int Status, string Body)> _answers = [];

    public async ValueTask InitializeAsync()
    {
        _admin.Urls.Add("http://127.0.0.1:0");
        _admin.Run(AnswerAsync);
        await _admin.StartAsync();
    }

    public ValueTask DisposeAsync() => _admin.DisposeAsync();

    [Fact]
    public async Task List_prints_every_page_as_one_table()
    {
        _answers.Enqueue((200, $$"""{"items":[{{User1}}],"next_cursor":"a/b"}"""));
        _answers.Enqueue((200, $$"""{"items":[{{User1.Replace("user1", "user-two")}}],"next_cursor":null}"""));

        CommandRun run = await RunAsync("list");

        Assert.Equal(0, run.Code);
        string[] lines = run.Out.TrimEnd().Split('\n');
        Assert.Equal(["CLIENT", "user1", "user-two"], lines.Select(line => line.Split(' ')[0]));
        Assert.Matches(@"^user1 +100 +30/m +99\.5$", lines[1].TrimEnd());
        Assert.Contains("cursor=a%2Fb", _requests[1]);
    }

    [Theory]
    [InlineData("--json")]
    [InlineData("--format", "json")]
    public async Task List_as_json_is_one_array(params string[] json)
    {
        _answers.Enqueue((200, $$"""{"items":[{{User1}}],"next_cursor":null}"""));

        CommandRun run = await RunAsync(["list", .. json]);

        Assert.Equal("user1", (string?)JsonNode.Parse(run.Out)!.AsArray().Single()!["client_id"]);
    }

    [Theory]
    [InlineData("123.5.6.7:890", "/clients/123.5.6.7%3A890")]
    [InlineData("a/b c", "/clients/a%2Fb%20c")]
    [InlineData("..", "/clients/..")]
    [InlineData("@file", "/clients/%40file")]
    public async Task Get_asks_for_the_id_as_written(string id, string path)
    {
        _answers.Enqueue((200, User1));

        CommandRun run = await RunAsync("get", id);

        Assert.Equal(0, run.Code);
        Assert.Equal($"GET {path} ", _requests.Single());
    }

    [Fact]
    public async Task Set_puts_the_limit_and_prints_what_holds_now()
    {
        _answers.Enqueue((201, User1));

        CommandRun run = await RunAsync("set", "user1", "--capacity", "100", "--rate", "5/s", "--tokens", "2.5");

        Assert.Equal(0, run.Code);
        Assert.Equal("""PUT /clients/user1 {"capacity":100,"rate_per_sec":5,"current_tokens":2.5}""",
            _requests.Single());
        Assert.Contains("99.5", run.Out);
    }

    [Fact]
    public async Task Set_without_tokens_leaves_them_to_the_server()
    {
        _answers.Enqueue((200, User1));

        await RunAsync("set", "user1", "--capacity", "1", "--rate", "5/s");

        Assert.DoesNotContain("current_tokens", _requests.Single());
    }

    [Fact]
    public async Task Reset_and_delete_name_the_client()
    {
        _answers.Enqueue((200, User1));
        _answers.Enqueue((204, ""));

        CommandRun reset = await RunAsync("reset", "user1");
        CommandRun delete = await RunAsync("delete", "user1");

        Assert.Equal((0, 0), (reset.Code, delete.Code));
        Assert.Equal(["POST /clients/user1/reset ", "DELETE /clients/user1 "], _requests);
        Assert.Contains("deleted user1", delete.Out);
    }

    [Theory]
    [InlineData(404, """{"code":404,"message":"client 'user1' is not registered"}""", "not registered")]
    [InlineData(401, "", "$PENSTOCK_TOKEN")]
    [InlineData(500, "<html>", "not answer like Penstock")]
    [InlineData(503, "[]", "503")]
    public async Task Get_that_is_rejected_exits_1_and_says_why(int status, string body, string said)
    {
        _answers.Enqueue((status, body));

        CommandRun run = await RunAsync("get", "user1");

        Assert.Equal(1, run.Code);
        Assert.Contains(said, run.Error);
        Assert.Single(run.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task Admin_api_that_is_not_there_exits_1_and_is_named()
    {
        await _admin.StopAsync();

        CommandRun run = await RunAsync("list");

        Assert.Equal(1, run.Code);
        Assert.Contains(_admin.Urls.Single(), run.Error);
        Assert.Single(run.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task Address_in_the_environment_that_is_no_url_exits_2()
    {
        CommandRun run = await CommandRun.Of(name => name == "PENSTOCK_ADMIN" ? "localhost" : null, "clients", "list");

        Assert.Equal(2, run.Code);
        Assert.Contains("$PENSTOCK_ADMIN", run.Error);
    }

    [Theory]
    [InlineData("get")]
    [InlineData("delete")]
    [InlineData("reset")]
    [InlineData("set", "--capacity", "1", "--rate", "1/s")]
    public async Task Empty_id_is_wrong_usage_and_asks_nothing(string command, params string[] options)
    {
        CommandRun run = await RunAsync([command, "", .. options]);

        Assert.Equal(2, run.Code);
        Assert.Contains("must not be empty", run.Error);
        Assert.Empty(_requests);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"items":[],"next_cursor":null}""")]
    [InlineData("""{"client_id":7}""")]
    [InlineData("null")]
    public async Task Answer_that_is_no_client_is_no_success(string body)
    {
        _answers.Enqueue((200, body));

        CommandRun run = await RunAsync("get", "user1");

        Assert.Equal((1, ""), (run.Code, run.Out));
        Assert.Contains("does not answer like Penstock", run.Error);
    }

    [Theory]
    [InlineData("secret\n")]
    [InlineData(" secret\r\n")]
    public async Task Token_with_white_space_around_it_is_the_token(string token)
    {
        _answers.Enqueue((200, User1));

        CommandRun run = await CommandRun.Of(name => name switch
        {
            "PENSTOCK_ADMIN" => _admin.Urls.Single(),
            "PENSTOCK_TOKEN" => token,
            _ => null,
        }, "clients", "get", "user1");

        Assert.Equal((0, ""), (run.Code, run.Error));
    }

    [Theory]
    [InlineData("sec\nret")]
    [InlineData("s\u00e9cret")]
    public async Task Token_that_no_header_can_carry_is_wrong_usage_and_not_repeated(string token)
    {
        CommandRun run = await CommandRun.Of(name => name == "PENSTOCK_TOKEN" ? token : null, "clients", "list");

        Assert.Equal(2, run.Code);
        Assert.StartsWith("error: $PENSTOCK_TOKEN: ", run.Error);
        Assert.DoesNotContain("ret", run.Error.Replace("secret", "", StringComparison.Ordinal).Split("header")[0]);
    }

    [Fact]
    public async Task Warning_of_the_api_is_a_line_of_its_own()
    {
        _answers.Enqueue((201, User1.Replace("}", ",\"warnings\":[\"no request can carry this id\"]}")));

        CommandRun run = await RunAsync("set", "user1", "--capacity", "1", "--rate", "5/s");

        Assert.Equal((0, "warning: no request can carry this id\n"), (run.Code, run.Error));
    }

    [Fact]
    public async Task Tokens_with_a_comma_are_not_ten_times_as_many()
    {
        CommandRun run = await RunAsync("set", "user1", "--capacity", "100", "--rate", "5/s", "--tokens", "1,5");

        Assert.Equal(2, run.Code);
        Assert.Empty(_requests);
    }

    [Theory]
    [InlineData(404, "client 'u2' is not registered", "", "client 'u2' is not registered; a new client needs "
        + "--capacity and --rate, or --plan")]
    [InlineData(400, "plan is 'gold'", "plan", "client 'u2' has a plan, which sets its capacity and its rate: for "
        + "numbers of its own give --capacity and --rate together, otherwise change the plan or choose another one "
        + "with --plan")]
    [InlineData(400, "capacity must", "capacity", "capacity must")]
    public async Task Set_of_half_the_numbers_says_in_its_own_words_what_is_missing(
        int status, string message, string field, string told)
    {
        _answers.Enqueue((status, $$"""
            {"code":{{status}},"message":"{{message}}","errors":[{"field":"{{field}}","message":"m"}]}
            """));

        CommandRun run = await RunAsync("set", "u2", "--capacity", "50");

        Assert.Equal((1, $"error: {told}\n"), (run.Code, run.Error));
    }

    [Theory]
    [InlineData("0.05", "0.05 s")]
    [InlineData("42.46", "42.5 s")]
    [InlineData("345599.95", "4 d")]
    [InlineData("3725.2", "1 h 2 min")]
    [InlineData("1e16", "115740740741 d")]
    public async Task Get_tells_in_how_long_the_bucket_is_full(string seconds, string told)
    {
        _answers.Enqueue((200, User1.Replace("}", $",\"full_in_seconds\":{seconds}}}")));

        Assert.Matches($@"  {told}\s*$", (await RunAsync("get", "user1")).Out);
    }

    private Task<CommandRun> RunAsync(params string[] args) => CommandRun.Of(
        name => name switch
        {
            "PENSTOCK_ADMIN" => _admin.Urls.Single(),
            "PENSTOCK_TOKEN" => "secret",
            _ => null,
        },
        ["clients", .. args]);

    private async Task AnswerAsync(HttpContext context)
    {
        Assert.Equal("Bearer secret", context.Request.Headers.Authorization);
        using var reader = new StreamReader(context.Request.Body);
        string target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        _requests.Add($"{context.Request.Method} {target} {await reader.ReadToEndAsync()}");
        (int status, string body) = _answers.Dequeue();
        context.Response.StatusCode = status;
        if (status != 204)
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body));
        }
    }
}
