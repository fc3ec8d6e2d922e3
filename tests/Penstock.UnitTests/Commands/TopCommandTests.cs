using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Commands;
using Penstock.Control.Admin;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary><c>penstock top</c>: what it makes of two readings, one frame as text, and the live view.</summary>
public sealed class TopCommandTests
{
    private static readonly BackendStatus One = FakeAdminApi.Backend("10.0.0.1:80");

    [Fact]
    public void Rates_are_the_differences_of_the_counts()
    {
        TopReading before = Reading(10, 100, 5, 1000, 7), now = Reading(12, 150, 8, 1100, 12);

        var frame = new TopFrame(before, now, 10);
        TopTable[] tables = [.. frame.Tables()];

        Assert.Equal(["web", "10.0.0.1:80", "up", "25", "1.5", "1.5 ms", "0", "1", ""], tables[0].Rows.Single());
        Assert.Equal(["default", "50", "2.5", "0"], tables[1].Rows.Single());
        Assert.Equal("50 requests/s, 50 ok", frame.Lines().ElementAt(1));
    }

    [Fact]
    public void Counts_that_began_again_after_a_restart_give_no_negative_rates()
    {
        TopReading before = Reading(10, 100, 5, 1000, 7), now = Reading(12, 4, 2, 6, 0);
        now = now with { Status = now.Status with { StartedAt = FakeAdminApi.Start.AddHours(1) } };

        TopTable[] tables = [.. new TopFrame(before, now, 10).Tables()];

        Assert.Equal(("2", "1"), (tables[0].Rows.Single()[3], tables[0].Rows.Single()[4]));
        Assert.Equal(["default", "3", "0", "0"], tables[1].Rows.Single());
    }

    [Theory]
    [InlineData(0.25, "0.5 ms")]
    [InlineData(0.625, "5.5 ms")]
    [InlineData(0.9, "over 10 ms")]
    public void Latency_is_interpolated_between_the_bounds_of_the_interval(double share, string latency)
    {
        TopReading before = WithDurations(100, 100, 100), now = WithDurations(200, 150, 150);
        // since the first reading: 100 up to 1 ms, 50 up to 10 ms, 50 longer

        Assert.Equal(latency, new TopFrame(before, now, 10).Quantile(share));
        Assert.Equal("-", new TopFrame(now, now, 10).Quantile(share));
    }

    [Fact]
    public void Backends_that_get_no_requests_come_first_and_the_busiest_next()
    {
        TopReading now = Reading(12, 0, 0, 0, 0) with
        {
            Upstreams =
            [
                FakeAdminApi.Upstream("web", One with { Address = "calm", Requests = 1 },
                    One with { Address = "busy", Requests = 9 },
                    One with { Address = "down", Health = BackendHealth.Down, Cause = "connection refused" }),
            ],
        };

        TopTable backends = new TopFrame(Reading(10, 0, 0, 0, 0), now, 2).Tables().First();

        Assert.Equal(["down", "busy"], backends.Rows.Select(static row => row[1]));
    }

    [Fact]
    public void Clients_show_how_fast_they_are_rejected_and_use_tokens()
    {
        TopReading before = Reading(10, 0, 0, 0, 0) with
        {
            Rejected = [FakeAdminApi.Limited("a", 100), FakeAdminApi.Limited("b", 4)],
            Lowest = [Bucket("c", 20)],
        };
        TopReading now = Reading(12, 0, 0, 0, 0) with
        {
            Rejected = [FakeAdminApi.Limited("a", 100), FakeAdminApi.Limited("b", 10), FakeAdminApi.Limited("n", 1)],
            Lowest = [Bucket("c", 10), Bucket("d", 50)],
        };

        TopTable[] tables = [.. new TopFrame(before, now, 10).Tables()];

        Assert.Equal([("b", "3"), ("a", "0"), ("n", "-")], tables[2].Rows.Select(static row => (row[0], row[2])));
        // 10 tokens fewer in 2 s, and 2 a second were refilled
        Assert.Equal([("c", "7"), ("d", "-")], tables[3].Rows.Select(static row => (row[0], row[4])));
    }

    [Fact]
    public async Task Top_that_is_no_terminal_prints_one_frame_as_text()
    {
        await using FakeAdminApi api = Answering(await FakeAdminApi.StartAsync());

        CommandRun run = await api.RunAsync("top", "--interval", "1ms");

        Assert.Equal(("", 0), (run.Error, run.Code));
        Assert.DoesNotContain('\e', run.Out);
        Assert.Contains("Penstock 1.2.3, up 1 h 1 min", run.Out);
        Assert.Matches(@"(?m)^web +10\.0\.0\.1:80 +up +0 +0 ", run.Out);
    }

    [Fact]
    public async Task Top_as_json_is_one_frame_with_numbers()
    {
        await using FakeAdminApi api = Answering(await FakeAdminApi.StartAsync());

        CommandRun run = await api.RunAsync("top", "--json", "--interval", "1ms");

        Assert.Equal(("", 0), (run.Error, run.Code));
        JsonNode frame = JsonNode.Parse(run.Out)!;
        Assert.Equal(0, (double)frame["requests_per_sec"]!);
        Assert.Equal(["web", "10.0.0.1:80", "up", "0", "1.5", null], ((string[])["upstream", "address", "status",
            "requests_per_sec", "latency_ms", "cause"]).Select(key => frame["backends"]![0]![key]?.ToString()));
        JsonNode bucket = frame["emptiest_buckets"]![0]!;
        Assert.Equal(("c", 20, null),
            ((string?)bucket["client_id"], (double)bucket["current_tokens"]!, (string?)bucket["plan"]));
    }

    [Fact]
    public void Json_has_the_rates_and_quantiles_of_the_text()
    {
        TopReading before = Reading(10, 100, 5, 1000, 7), now = Reading(12, 150, 8, 1100, 12);

        JsonObject frame = new TopFrame(before, now with { Rejected = [FakeAdminApi.Limited("b", 10)] }, 10).Json();

        Assert.Equal((2, 50, 50), ((double)frame["seconds"]!, (double)frame["requests_per_sec"]!,
            (double)frame["by_reason"]!["ok"]!));
        Assert.Equal((25, 1.5), ((double)frame["backends"]![0]!["requests_per_sec"]!,
            (double)frame["backends"]![0]!["failures_per_sec"]!));
        Assert.Equal((50, 2.5), ((double)frame["limits"]![0]!["admitted_per_sec"]!,
            (double)frame["limits"]![0]!["rejected_per_sec"]!));
        JsonNode rejected = frame["rejected_clients"]![0]!;
        Assert.Equal(("b", null, 10),
            ((string?)rejected["client"], (double?)rejected["rejected_per_sec"], (long)rejected["rejected"]!));
        Assert.Equal(1, (double)new TopFrame(WithDurations(100, 100, 100), WithDurations(200, 150, 150), 10)
            .Json()["p50_ms"]!);
    }

    [Fact]
    public async Task Live_view_draws_again_and_gives_the_screen_back_when_it_ends()
    {
        await using FakeAdminApi api = Answering(await FakeAdminApi.StartAsync());
        using var stop = new CancellationTokenSource();
        var output = new StringWriter();
        var terminal = new Terminal(TextWriter.Synchronized(output), TextWriter.Null)
        {
            Interactive = true, CanRedraw = true, Environment = api.Environment,
        };

        Task<int> run = Task.Run(() => RootCommandLine.RunAsync(["top", "--interval", "1ms"], terminal, stop.Token));
        await Eventually.TrueAsync(() => api.Requests.Count(static r => r == "GET /status") > 3, "it reads again");
        await stop.CancelAsync();

        Assert.Equal(0, await run);
        string screen = output.ToString();
        Assert.StartsWith("\e[?1049h", screen);
        Assert.EndsWith("\e[?1049l", screen);
        Assert.Contains("10.0.0.1:80", screen);
    }

    [Fact]
    public async Task Live_view_ends_by_its_key()
    {
        await using FakeAdminApi api = Answering(await FakeAdminApi.StartAsync());
        var terminal = new Terminal(new StringWriter(), TextWriter.Null)
        {
            Interactive = true, CanRedraw = true, Environment = api.Environment, WantsToQuit = static () => true,
        };

        Assert.Equal(0, await RootCommandLine.RunAsync(["top"], terminal));
    }

    private static FakeAdminApi Answering(FakeAdminApi api) => api.Shows(FakeAdminApi.Status())
        .Shows(FakeAdminApi.Upstream("web", One))
        .Answers("GET /rejections/top", """{"items":[],"displaced_buckets":0}""")
        .Answers("GET /buckets/lowest",
            JsonSerializer.Serialize(new LowestBuckets([Bucket("c", 20)]), AdminJson.Types.LowestBuckets));

    private static TopReading Reading(double seconds, long requests, long failures, long admitted, long rejected)
    {
        StatusReport status = FakeAdminApi.Status();
        return new(seconds, status with
        {
            Requests = status.Requests with
            {
                Total = admitted, ByReason = new Dictionary<string, long> { ["ok"] = admitted, ["queue_full"] = 0 },
            },
            Limits = [status.Limits[0] with { Admitted = admitted, Rejected = rejected }],
        }, [FakeAdminApi.Upstream("web", One with { Requests = requests, Failures = failures })], [], []);
    }

    private static TopReading WithDurations(long fast, long slow, long slowest)
    {
        TopReading reading = Reading(10, 0, 0, 0, 0);
        return reading with
        {
            Status = reading.Status with
            {
                Requests = reading.Status.Requests with
                {
                    Durations = [new(0.001, fast), new(0.01, slow), new(null, slowest)],
                },
            },
        };
    }

    private static ClientView Bucket(string id, double tokens) =>
        ClientView.Of(new ClientState(id, new(100, 2), tokens));
}
