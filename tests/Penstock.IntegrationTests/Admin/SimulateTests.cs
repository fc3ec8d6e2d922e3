using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary><c>POST /simulate</c>: an access log against a limit, and against those around it.</summary>
public sealed class SimulateTests : IAsyncLifetime
{
    private const string Asked = "?capacity=3&rate=1/m";

    private AdminFixture _admin = null!;

    public async ValueTask InitializeAsync() => _admin = await AdminFixture.StartAsync();

    public ValueTask DisposeAsync() => _admin.DisposeAsync();

    [Theory]
    [InlineData("")]
    [InlineData("text/plain")]
    [InlineData("application/x-ndjson")]
    [InlineData("application/octet-stream")]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("not a type")]
    public async Task Log_is_replayed_whatever_its_type(string type)
    {
        Answer answer = await SimulateAsync(Asked + "&target=10%", Burst(10), type);

        Assert.Equal(200, answer.Status);
        Assert.Equal((10, 7, 10), (answer["requests"].GetInt32(), answer["rejected"].GetInt32(),
            answer["grid"].GetProperty("capacities").EnumerateArray().Last().GetInt32()));
        Assert.Equal((0.1, 9), (answer["target"].GetDouble(), answer["smallest_capacity"].GetInt32()));
        Assert.Equal("user1", answer["hardest_clients"][0].GetProperty("client").GetString());
        Assert.Empty(answer["first_bad_lines"].EnumerateArray());
        Assert.False(answer.Json.TryGetProperty("log", out _));
    }

    [Fact]
    public async Task Grid_has_the_asked_limit_with_the_numbers_of_the_report()
    {
        Answer answer = await SimulateAsync("?capacity=4&rate=0.5/s&top=1", Burst(10) + Burst(8, "user2"));

        JsonElement grid = answer["grid"];
        int row = IndexOf(grid.GetProperty("rates"), 0.5);
        int column = IndexOf(grid.GetProperty("capacities"), 4);
        Assert.Equal(answer["rejected"].GetInt32(), grid.GetProperty("rejected")[row][column].GetInt32());
        Assert.Equal(answer["worst_seconds"][0].GetProperty("rejected").GetInt32(),
            grid.GetProperty("worst_second")[row][column].GetInt32());
        Assert.Equal(13, grid.GetProperty("smallest_capacity").GetArrayLength());
        Assert.Equal((JsonValueKind.Null, JsonValueKind.Null, 1, 2),
            (answer["target"].ValueKind, answer["smallest_capacity"].ValueKind,
                answer["hardest_clients"].GetArrayLength(), answer["clients"].GetInt32()));

        static int IndexOf(JsonElement list, double value) =>
            list.EnumerateArray().Index().Single(item => item.Item.GetDouble().Equals(value)).Index;
    }

    [Fact]
    public async Task Log_of_nginx_is_read_and_its_bad_lines_are_told()
    {
        const string Line =
            "192.0.2.1 - - [21/Nov/2026:10:00:00 +0200] \"GET / HTTP/1.1\" 429 12 \"-\" \"curl/8.5.0\"\n";

        Answer answer = await SimulateAsync(
            "?capacity=1&rate=1/s&format=combined&key=user_agent", Line + Line + "what?\n" + Line, "text/plain");

        Assert.Equal((200, 3, 2, 1), (answer.Status, answer["requests"].GetInt32(), answer["rejected"].GetInt32(),
            answer["bad_lines"].GetInt32()));
        Assert.Equal("curl/8.5.0", answer["hardest_clients"][0].GetProperty("client").GetString());
        Assert.Equal("""[{"line":3,"fault":"is not in the common or combined format"}]""",
            answer["first_bad_lines"].ToString());
    }

    [Fact]
    public async Task Log_without_a_usable_line_is_rejected_with_its_first_faults()
    {
        Answer answer = await SimulateAsync(Asked, "{\n\n" + string.Concat(Enumerable.Repeat("x\n", 30)));

        answer.IsError(
            400, "the log contains no request that a limit applies to: line 1 is not valid JSON; line 3 is ");
        Assert.Equal((20, 11), (answer["errors"].GetArrayLength(), answer["more"].GetInt32()));
        Assert.EndsWith("; and 11 more bad lines", answer.Message);
        (await SimulateAsync(Asked + "&key=nope", Burst(30)))
            .HasFaults("key 'nope' is in no line as a text or a number; line 1 has time, client");
        (await SimulateAsync(Asked, "")).IsError(400, "no request that a limit applies to");
        (await SimulateAsync(Asked, """{"time":"2026-11-21T08:00:00Z","client":"a","reason":"no_route"}"""))
            .IsError(400, "no request that a limit applies to");
    }

    [Fact]
    public async Task Parameters_that_are_wrong_are_all_told()
    {
        (await SimulateAsync("?capacity=0&rate=10&format=xml&target=much&top=1001", Burst(1))).HasFaults(
            "capacity '0' is out of range: write a number from 1 to 1000000000",
            "rate '10' has no unit; write 10/s",
            "format 'xml' is not one of auto, json, common, combined",
            "target 'much' is not a share: write 1% or 0.01",
            "top '1001' is out of range: write a number from 1 to 1000");
        (await SimulateAsync("?capacity=many&rate=1/s&top=1.5", Burst(1))).HasFaults(
            "capacity 'many' is not a whole number: write one from 1 to 1000000000",
            "top '1.5' is not a whole number: write one from 1 to 1000");
        (await SimulateAsync("?format=common&key=host", Burst(1))).HasFaults(
            "capacity is required", "rate is required", "key 'host' is not a field of the common format: write client "
                + "or client_address or user");
        (await SimulateAsync("?capacity=1&rate=2000000/s", Burst(1))).HasFaults(
            "rate '2000000/s' must be from one in 100 days to 1000000 per second");
        (await SimulateAsync("?capacity=1000000000&rate=1/h", Burst(1))).HasFaults("capacity an empty bucket would "
            + "need more than 100 years to fill; lower the capacity or raise the rate");
    }

    [Theory]
    [InlineData("Content-Length: 67108865\r\nExpect: 100-continue\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n")]
    public async Task Log_larger_than_its_bound_is_rejected(string framing)
    {
        using TcpClient tcp = await ConnectAsync(framing);
        if (framing.StartsWith('T'))
        {
            byte[] piece = Encoding.ASCII.GetBytes("100000\r\n" + new string('\n', 1 << 20) + "\r\n");
            for (int i = 0; i < 64; i++)
            {
                await tcp.GetStream().WriteAsync(piece);
            }

            await tcp.GetStream().WriteAsync("1\r\n\n\r\n"u8.ToArray());
        }
        string answer = await AnswerAsync(tcp);

        Assert.StartsWith("HTTP/1.1 413 ", answer);
        Assert.Contains("the log is larger than 67108864 bytes: send a part of it, or use 'penstock simulate'", answer);
    }

    [Fact]
    public async Task Log_with_too_many_requests_is_rejected()
    {
        string log = Burst(SimulationEndpoints.MaxRequests + 1, "u");
        Assert.InRange(log.Length, 1, SimulationEndpoints.MaxLogBytes);

        (await SimulateAsync(Asked, log))
            .IsError(413, "the log has more than 1000000 requests: send a part of it, or use 'penstock simulate'");
    }

    [Fact]
    public async Task Second_simulation_waits_for_the_first_and_a_tenth_is_rejected()
    {
        string log = Burst(10);
        using TcpClient first = await ConnectAsync($"Content-Length: {log.Length}\r\n");
        await first.GetStream().WriteAsync(Encoding.ASCII.GetBytes(log[..^20])); // so it has its turn, and waits
        List<Task<Answer>> others = [];
        Task<Answer>? rejected = null;
        await Eventually.TrueAsync(() =>
        {
            // One of them may be before the first; then its answer comes at once.
            others.Add(SimulateAsync(Asked, log));
            rejected = others.Find(static other => other is { IsCompletedSuccessfully: true, Result.Status: 503 });
            return rejected is not null;
        }, "a simulation is rejected");
        (await rejected!).IsError(503, "other simulations are running");
        Assert.InRange(others.Count(static other => !other.IsCompleted), OneAtATime.MaxWaiting, int.MaxValue);

        await first.GetStream().WriteAsync(Encoding.ASCII.GetBytes(log[^20..]));

        Assert.StartsWith("HTTP/1.1 200 ", await AnswerAsync(first));
        Assert.True((await Task.WhenAll(others)).Count(static answer => answer.Status == 200) >= OneAtATime.MaxWaiting);
    }

    [Fact]
    public async Task Client_that_leaves_ends_its_simulation_and_the_next_has_its_turn()
    {
        string log = Burst(10);
        using (TcpClient first = await ConnectAsync($"Content-Length: {log.Length}\r\n"))
        {
            await first.GetStream().WriteAsync(Encoding.ASCII.GetBytes(log[..^20]));
            using TcpClient second = await ConnectAsync($"Content-Length: {log.Length}\r\n"); // leaves while it waits
        }

        Assert.Equal(200, (await SimulateAsync(Asked, log)).Status);
        Assert.DoesNotContain(
            _admin.Log.Lines, static line => line.Contains("bug", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Token_with_the_role_read_is_enough_and_nothing_is_logged_as_a_change()
    {
        string reader = AdminToken.Create();
        await using AdminFixture admin = await AdminFixture.StartAsync(change: config => config with
        {
            Admin = config.Admin with { Tokens = [new("reader", AdminRole.Read, AdminToken.HashOf(reader))] },
        });

        Answer answer = await admin.SendAsync("POST", "/simulate" + Asked, Burst(3), "",
            ("Authorization", $"Bearer {reader}"));
        Assert.Equal(200, answer.Status);
        (await admin.SendAsync("POST", "/simulate" + Asked, Burst(3), "")).IsError(401);
        Assert.Equal(0, admin.Log.Count("admin_change"));
    }

    private Task<Answer> SimulateAsync(string query, string log, string type = "") =>
        _admin.SendAsync("POST", "/simulate" + query, log, type);

    private async Task<TcpClient> ConnectAsync(string framing)
    {
        var tcp = new TcpClient();
        await tcp.ConnectAsync(_admin.Host.AdminUrl!.Host, _admin.Host.AdminUrl.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /simulate{Asked} HTTP/1.1\r\nHost: localhost\r\n{framing}Connection: close\r\n\r\n"));
        return tcp;
    }

    private static async Task<string> AnswerAsync(TcpClient tcp)
    {
        using var reader = new StreamReader(tcp.GetStream());
        return await reader.ReadToEndAsync();
    }

    /// <summary>Requests of one moment.</summary>
    private static string Burst(int count, string client = "user1") => string.Concat(Enumerable.Repeat(
        $$"""{"time":"2026-11-21T08:00:00Z","client":"{{client}}"}""" + "\n", count));
}
