using System.Text;
using System.Text.Json;
using Penstock.Commands;
using Penstock.Control.Simulation;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class SimulateCommandTests : IDisposable
{
    private const string Json = """{"time":"2026-11-21T08:00:00.500Z","client":"a","duration_ms":500,"reason":"ok"}""";
    private const string Combined =
        "192.0.2.1 - Ann Lee [21/Nov/2026:10:00:00 +0200] \"GET /\\\"x HTTP/1.1\" 429 12 \"-\" \"curl \\\"8\\\"\"";
    private readonly string _log = Path.GetTempFileName();

    public void Dispose() => File.Delete(_log);

    [Fact]
    public async Task Simulate_counts_rejections_of_each_client_and_finds_the_worst_second()
    {
        await File.WriteAllLinesAsync(_log, [.. Burst("a", 0, 5), .. Burst("b", 1, 2), .. Burst("a", 100, 4)]);

        CommandRun run = await Simulated("3", "1/m");

        Assert.Equal((0, ""), (run.Code, run.Error));
        var report = JsonElement.Parse(run.Out);
        Assert.Equal((11, 5), (report.GetProperty("requests").GetInt32(), report.GetProperty("rejected").GetInt32()));
        JsonElement hardest = report.GetProperty("hardest_clients")[0];
        Assert.Equal("a", hardest.GetProperty("client").GetString());
        Assert.Equal(5, hardest.GetProperty("rejected").GetInt32()); // 2 of 5, then one token is back: 3 of 4
        Assert.Equal("2026-11-21T08:01:40Z", hardest.GetProperty("worst_second").GetString());
        Assert.Equal(3, hardest.GetProperty("worst_second_rejected").GetInt32());
        Assert.Equal("2026-11-21T08:01:40Z", report.GetProperty("worst_seconds")[0].GetProperty("time").GetString());
        Assert.Equal(6, report.GetProperty("decided_as_in_log").GetInt32());
    }

    [Fact]
    public async Task Simulate_text_names_the_limit_the_clients_and_the_moments()
    {
        await File.WriteAllLinesAsync(_log, Burst("a\u001b[2J", 0, 5));

        CommandRun run =
            await CommandRun.Of("simulate", "--log", _log, "--capacity", "3", "--rate", "1/m", "--target", "20%");

        Assert.Equal(0, run.Code);
        Assert.Contains("A limit of 3 at once, then 1/m, rejects 2 (40%) of 1 client; 0 were", run.Out);
        Assert.Contains("smallest capacity that rejects at most 20%: 4.", run.Out);
        Assert.Contains("Worst moments: 2026-11-21T08:00:00Z (2 rejected)", run.Out);
        Assert.DoesNotContain('\u001b', run.Out);
    }

    [Fact]
    public async Task Simulate_orders_requests_by_when_they_began()
    {
        // The slow request ended last and is written last, but it was the first to take a token.
        await File.WriteAllLinesAsync(_log,
        [
            """{"time":"2026-11-21T08:00:10Z","client":"a","duration_ms":0,"reason":"rate_limited","path":"/b"}""",
            """{"time":"2026-11-21T08:00:20Z","client":"a","duration_ms":15000,"reason":"ok","path":"/a"}""",
        ]);

        CommandRun run = await Simulated("1", "1/h");

        Assert.Equal(2, JsonElement.Parse(run.Out).GetProperty("decided_as_in_log").GetInt32());
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)] // a terminal that can only write lines
    public async Task Simulate_shows_a_person_how_far_it_is(bool canRedraw, bool shown)
    {
        await File.WriteAllLinesAsync(_log, Burst("a", 0, 5));
        var error = new StringWriter();
        var terminal = new Terminal(new StringWriter(), error) { ErrorIsTerminal = true, CanRedraw = canRedraw };

        Assert.Equal(0, await RootCommandLine.RunAsync(
            ["simulate", "--log", _log, "--capacity", "3", "--rate", "1/s", "--target", "1%"], terminal));

        Assert.Equal(shown, error.ToString().Contains("replaying", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Simulate_counts_bad_lines_and_tells_the_first_by_number()
    {
        await File.WriteAllLinesAsync(_log,
        [
            Json, "{", "", "not a line",
            "{\"time\":\"yesterday\",\"client\":\"a\"}", "{\"time\":\"2026-11-21T08:00:00Z\"}",
            new string('x', LineReader.MaxLineBytes + 10), Combined, Json + "}",
            Json.Replace("\"ok\"", "\"no_route\"", StringComparison.Ordinal),
        ]);

        CommandRun run = await Simulated("3", "1/m");

        Assert.Equal(0, run.Code);
        Assert.Contains($"{_log}:2 is not valid JSON", run.Error);
        Assert.Contains($"{_log}:4 is neither JSON nor in the common or combined format", run.Error);
        Assert.Contains($"{_log}:5 has no 'time' with a date", run.Error);
        Assert.Contains($"{_log}:6 has no 'client'", run.Error);
        Assert.Contains($"{_log}:7 is longer than", run.Error);
        Assert.Contains($"{_log}:9 is not valid JSON", run.Error);
        Assert.Contains("6 lines could not be read", run.Error);
        var report = JsonElement.Parse(run.Out);
        Assert.Equal(2, report.GetProperty("requests").GetInt32());
        Assert.Equal(1, report.GetProperty("not_limited").GetInt32());
    }

    [Theory]
    [InlineData("--log-format", "common", "--key", "host", "'host' is not a field of the common format", 2)]
    [InlineData("--capacity", "0", "--top", "1", "'0'", 2)]
    [InlineData("--target", "much", "--top", "1", "1% or 0.01", 2)]
    [InlineData("--target", "1", "--top", "1", "'1' may mean 1% or 100%: write one of them", 2)]
    [InlineData("--top", "abc", "--capacity", "1e3", "'1e3' is not a whole number: write one from 1 to 1000000000", 2)]
    [InlineData("--log", "/nowhere/at/all", "--top", "1", "cannot read /nowhere/at/all: there is no such file\n", 1)]
    [InlineData("--log", "/tmp", "--top", "1", "cannot read /tmp: it is a folder\n", 1)]
    [InlineData("--log", "/dev/null", "--top", "1", "contains no request", 1)]
    public async Task Simulate_with_a_mistake_says_what_it_is(
        string option, string value, string other, string otherValue, string named, int code)
    {
        var args = new Dictionary<string, string>
        {
            ["--log"] = _log, ["--capacity"] = "3", ["--rate"] = "1/s", [option] = value, [other] = otherValue,
        };

        CommandRun run = await CommandRun.Of(["simulate", .. args.SelectMany(a => new[] { a.Key, a.Value })]);

        Assert.Equal(code, run.Code);
        Assert.Contains(named, run.Error);
        Assert.DoesNotContain("   at ", run.Error);
    }

    [Theory]
    [InlineData("Auto", "client", "192.0.2.1")]
    [InlineData("Combined", "user", "Ann Lee")]
    [InlineData("Combined", "user_agent", "curl \\\"8\\\"")]
    [InlineData("Common", "client_address", "192.0.2.1")]
    public void Parser_reads_the_combined_format(string format, string key, string client)
    {
        Assert.Null(new LogLineParser(Enum.Parse<LogFormat>(format), key)
            .Parse(Encoding.UTF8.GetBytes(Combined), out LogLine line));

        Assert.Equal(client, Encoding.UTF8.GetString(line.Key));
        Assert.True(line.Rejected);
        Assert.Equal(new DateTimeOffset(2026, 11, 21, 8, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds() * 1_000_000_000,
            line.UnixNs);
    }

    [Fact]
    public void Parser_takes_any_prefix_and_any_changed_byte_without_an_exception()
    {
        var random = new Random(11);
        foreach (string? text in new[] { Json, Combined })
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            for (int length = 0; length < bytes.Length; length++)
            {
                Assert.NotNull(Fault(bytes.AsSpan(0, length).ToArray())
                    ?? (text == Combined ? "may be common" : null));
            }

            for (int i = 0; i < 20_000; i++)
            {
                byte[] changed = bytes.ToArray();
                changed[random.Next(changed.Length)] = (byte)random.Next(256);
                _ = Fault(changed);
            }
        }

        static string? Fault(byte[] line) => new LogLineParser(LogFormat.Auto, "client").Parse(line, out _);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0.01)]
    [InlineData(3, 0.2)]
    [InlineData(4, 1)]
    public void SmallestCapacity_is_the_first_that_keeps_to_the_share(int seed, double share)
    {
        var random = new Random(seed);
        (long Ns, int Client)[] requests = [.. Enumerable.Range(0, 4000).Select(i =>
            (i * 50_000_000L, random.Next(4) * random.Next(3)))];
        byte[] log = Encoding.UTF8.GetBytes(string.Join('\n', requests.Select(r => JsonSerializer.Serialize(new
        {
            time = DateTimeOffset.UnixEpoch.AddTicks(r.Ns / 100), client = "c" + r.Client,
        }))));
        var simulation = new LimitSimulation(new(5, 2), new LogLineParser(LogFormat.Auto, "client"));
        simulation.Run(new MemoryStream(log));

        long? found = simulation.SmallestCapacity(share, () => new MemoryStream(log));

        Assert.Equal(Enumerable.Range(1, 4000).First(capacity => Rejected(capacity) <= share * requests.Length), found);

        int Rejected(long capacity)
        {
            var limit = new VirtualLimit(new(capacity, 2));
            long[] buckets = new long[20];
            return requests.Count(r => !limit.TryTake(ref buckets[r.Client], r.Ns));
        }
    }

    [Theory]
    [InlineData(Json, "nope", "'nope' is in no line as a text or a number; line 1 has time, client, duration_ms, "
        + "reason")]
    [InlineData(Combined, "route", "'route' is not a field of the combined format: write client or client_address or "
        + "user or referer or user_agent")]
    [InlineData("1.2.3.4 - - [21/Nov/2026:10:00:00 +0200] \"GET / HTTP/1.1\" 200 5", "referer",
        "'referer' is not a field of the common format: write client or client_address or user")]
    public async Task Key_that_no_line_has_is_one_error_with_those_that_it_has(string line, string key, string fault)
    {
        await File.WriteAllLinesAsync(_log, Enumerable.Repeat(line, 30));

        CommandRun run = await CommandRun.Of(
            "simulate", "--log", _log, "--capacity", "1", "--rate", "60/m", "--key", key);

        Assert.Equal((2, "", $"error: --key: {fault}\n"), (run.Code, run.Out, run.Error));
    }

    [Fact]
    public async Task Key_that_some_lines_lack_is_a_warning_about_these_lines()
    {
        await File.WriteAllLinesAsync(_log, [Json, Combined, Json.Replace("client", "peer", StringComparison.Ordinal)]);

        CommandRun run = await CommandRun.Of(
            "simulate", "--log", _log, "--capacity", "1", "--rate", "60/m", "--key", "duration_ms");

        Assert.Equal((0, $"warning: {_log}:2 has no 'duration_ms', because it is not JSON\n"
            + "warning: 1 line could not be read and is not counted\n"), (run.Code, run.Error));
    }

    [Theory]
    [InlineData(1, "1 line is an event of Penstock, not of a request.\n")]
    [InlineData(74, "74 lines are events of Penstock, not of a request.\n")]
    public async Task Events_of_Penstock_between_the_requests_are_counted_without_complaint(int count, string told)
    {
        const string Event = """{"time":"2026-11-21T08:00:00.500Z","level":"info","event":"Ready","message":"m"}""";
        await File.WriteAllLinesAsync(_log, Enumerable.Repeat(Event, count).Append(Json));

        CommandRun run = await CommandRun.Of("simulate", "--log", _log, "--capacity", "1", "--rate", "1/s");

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains(": 1 request of 1 client, ", run.Out);
        Assert.Contains(told, run.Out);
        Assert.Equal(count, JsonElement.Parse((await Simulated("3", "1/m")).Out).GetProperty("events").GetInt32());
    }

    private Task<CommandRun> Simulated(string capacity, string rate) =>
        CommandRun.Of("simulate", "--log", _log, "--capacity", capacity, "--rate", rate, "--format", "json");

    private static IEnumerable<string> Burst(string client, int second, int count) =>
        Enumerable.Repeat(JsonSerializer.Serialize(new
        {
            time = new DateTime(2026, 11, 21, 8, 0, 0, DateTimeKind.Utc).AddSeconds(second), client, reason = "ok",
        }), count);
}
