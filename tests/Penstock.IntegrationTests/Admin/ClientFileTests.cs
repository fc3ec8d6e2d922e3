using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Importing and exporting clients by the API: each fact runs against each kind of store.</summary>
public abstract class ClientFileTests : IAsyncLifetime
{
    private const string Csv = "text/csv";
    private const string JsonLines = "application/x-ndjson";

    private AdminFixture _admin = null!;

    public async ValueTask InitializeAsync() => _admin = await AdminFixture.StartAsync(await NewSettingAsync());

    public async ValueTask DisposeAsync()
    {
        await _admin.DisposeAsync();
        Discard();
        GC.SuppressFinalize(this);
    }

    private protected abstract ValueTask<string> NewSettingAsync();

    private protected virtual void Discard()
    {
    }

    [Fact]
    public async Task Import_creates_and_changes_clients_and_leaves_the_others_alone()
    {
        await _admin.CreateAsync("kept", 100, 40);
        await _admin.CreateAsync("set", 100, 40);
        await _admin.CreateAsync("same", 100, 40);
        await _admin.CreateAsync("other", 100, 40);

        Answer answer = await ImportAsync(""""
            capacity,client_id,rate_per_sec,current_tokens
            200,kept,0.002,
            100,set,0.001,7
            100,same,0.001,
            10,"new, ""ключ""",0.001,
            10,new2,0.001,3

            """");

        Assert.Equal((200, """{"created":2,"updated":2,"unchanged":1}"""), (answer.Status, answer.Body));
        await HasAsync("kept", 200, 40);
        await HasAsync("set", 100, 7);
        await HasAsync("same", 100, 40);
        await HasAsync("other", 100, 40);
        await HasAsync("new, \"ключ\"", 10, 10);
        await HasAsync("new2", 10, 3);
        Assert.True(_admin.Host.Proxy.Limiter.Clients.TryGet("new2", out ClientState client));
        Assert.Equal(new(10, 0.001), client.Limit);
    }

    [Fact]
    public async Task Import_leaves_one_line_in_the_log()
    {
        const string Line = "loopback from 127.0.0.1: POST /clients/import was answered 200; ";
        await ImportAsync("client_id,capacity,rate_per_sec\na,1,1\nb,1,1\n");
        await ImportAsync("client_id,capacity,rate_per_sec\na,1,1\nb,2,1\n", query: "?dry_run=true");
        await ImportAsync("client_id,capacity,rate_per_sec\na,1,1\nb,3,1\n");

        Assert.Equal(
            [
                "2 created, 0 updated, 0 unchanged", "a dry run, 0 created, 1 updated, 1 unchanged",
                "0 created, 1 updated, 1 unchanged",
            ],
            _admin.Log.Lines.Where(line => line.StartsWith(Line, StringComparison.Ordinal))
                .Select(static line => line[Line.Length..]));
    }

    [Fact]
    public async Task Dry_run_tells_what_would_be_and_changes_nothing()
    {
        await _admin.CreateAsync("a", 100, 40);
        const string File = """
            {"client_id":"a","capacity":50,"rate_per_sec":0.001}
            {"client_id":"b","capacity":50,"rate_per_sec":0.001}
            """;

        Answer answer = await ImportAsync(File, JsonLines, "?dry_run=true");

        Assert.Equal("""{"created":1,"updated":1,"unchanged":0}""", answer.Body);
        await HasAsync("a", 100, 40);
        (await _admin.SendAsync("GET", "/clients/b")).IsError(404);
        Assert.Equal(1, _admin.Host.Proxy.Limiter.Clients.Count);
        Assert.Equal(answer.Body, (await ImportAsync(File, JsonLines, "?dry_run=false")).Body);
        await HasAsync("a", 50, 40);
    }

    [Fact]
    public async Task Create_rejects_it_all_when_clients_exist_and_names_their_lines()
    {
        await _admin.CreateAsync("a");
        const string Header = "client_id,capacity,rate_per_sec\n";

        Answer rejected = await ImportAsync(Header + "new,1,1\na,1,1\n", query: "?mode=create");

        rejected.IsError(409, "nothing was imported, 1 fault: line 3: client 'a' exists already");
        Assert.Equal("line 3", rejected["errors"][0].GetProperty("field").GetString());
        (await _admin.SendAsync("GET", "/clients/new")).IsError(404);
        await HasAsync("a", 100, 50);
        Assert.Equal("""{"created":1,"updated":0,"unchanged":0}""",
            (await ImportAsync(Header + "new,1,1\n", query: "?mode=create")).Body);
    }

    [Fact]
    public async Task File_with_faults_is_told_all_of_them_with_their_lines_and_changes_nothing()
    {
        await _admin.CreateAsync("a");

        Answer answer = await ImportAsync("""
            {"client_id":"new","capacity":1,"rate_per_sec":1}
            {"client_id":"a","capacity":0,"rate_per_sec":"fast"}
            {"client_id":"new","capacity":2,"rate_per_sec":1}
            """, JsonLines);

        answer.HasFaults("line 2 capacity must be from 1 to 1000000000",
            "line 2 rate_per_sec must be a number, not a text", "line 3 client_id 'new' is the same as in line 1");
        Assert.Contains("; line 2: capacity must be from 1 to 1000000000; ", answer.Message);
        Assert.False(answer.Json.TryGetProperty("more", out _));
        (await _admin.SendAsync("GET", "/clients/new")).IsError(404);
        await HasAsync("a", 100, 50);
    }

    [Fact]
    public async Task Faults_beyond_a_hundred_are_counted()
    {
        Answer answer = await ImportAsync("client_id,capacity,rate_per_sec\n"
            + string.Concat(Enumerable.Range(0, 112).Select(i => $"c{i},x,1\n")));

        answer.IsError(400, "nothing was imported, 112 faults: line 2: capacity must be a number, not 'x'; line 3");
        Assert.EndsWith("; and 12 more", answer.Message);
        Assert.Equal((100, 12), (answer["errors"].GetArrayLength(), answer["more"].GetInt32()));
    }

    [Theory]
    [InlineData("csv", Csv)]
    [InlineData("jsonl", JsonLines)]
    public async Task Export_that_is_imported_and_exported_again_is_the_same(string format, string type)
    {
        foreach (string id in new[] { "a,b", "\"", "ключ 🔑", "\uFF5E", "a/b?c=%41", "export", "'; --", "=1+1", "\\" })
        {
            await _admin.CreateAsync(id, 7, 7);
        }

        Answer first = await _admin.SendAsync("GET", "/clients/export?format=" + format);
        Assert.Equal((200, type), (first.Status, first.Type));
        Assert.Equal("""{"created":0,"updated":0,"unchanged":9}""", (await ImportAsync(first.Body, type)).Body);
        foreach (string id in new[] { "a%2Cb", "%22", "%65xport" })
        {
            Assert.Equal(204, (await _admin.SendAsync("DELETE", "/clients/" + id)).Status);
        }

        await _admin.SendAsync("PATCH", "/clients/%5C", """{"capacity":3}""");

        Assert.Equal("""{"created":3,"updated":1,"unchanged":5}""", (await ImportAsync(first.Body, type)).Body);
        Assert.Equal(first.Body, (await _admin.SendAsync("GET", "/clients/export?format=" + format)).Body);
    }

    [Fact]
    public async Task Many_thousands_of_clients_come_and_go_whole()
    {
        const int Count = 12_345;
        var file = new StringBuilder();
        for (int i = 0; i < Count; i++)
        {
            file.Append($$"""{"client_id":"c{{i:d5}}","capacity":{{i + 1}},"rate_per_sec":0.5}""").Append('\n');
        }

        Assert.Equal(Count, (await ImportAsync(file.ToString(), JsonLines))["created"].GetInt32());

        Assert.Equal(Count, _admin.Host.Proxy.Limiter.Clients.Count);
        string[] lines = (await _admin.SendAsync("GET", "/clients/export")).Body.TrimEnd().Split('\n');
        Assert.Equal(Count, lines.Length);
        Assert.All(lines.Select(static line => JsonElement.Parse(line)).Index(), static line => Assert.Equal(
            ($"c{line.Index:d5}", line.Index + 1),
            (line.Item.GetProperty("client_id").GetString(), line.Item.GetProperty("capacity").GetInt32())));
    }

    [Theory]
    [InlineData("", JsonLines)]
    [InlineData("*/*", JsonLines)]
    [InlineData("text/csv", Csv)]
    [InlineData("text/*", Csv)]
    [InlineData("text/html, */*;q=0.5", JsonLines)]
    [InlineData("application/x-ndjson;q=0.4, text/csv;q=0.5", Csv)]
    [InlineData("text/csv;q=0.4, */*", JsonLines)]
    [InlineData("application/json", JsonLines)]
    [InlineData("not a type", JsonLines)]
    public async Task Export_is_of_the_format_that_the_caller_likes_best(string accept, string type)
    {
        await _admin.CreateAsync("a");

        Answer answer = await _admin.SendAsync("GET", "/clients/export", headers: ("Accept", accept));

        Assert.Equal((200, type), (answer.Status, answer.Type));
        Assert.StartsWith(type == Csv ? "client_id,capacity,rate_per_sec,current_tokens,plan,access,limits\na,"
            : "{\"client_id\":\"a\"",
            answer.Body);
        Assert.Equal(JsonLines,
            (await _admin.SendAsync("GET", "/clients/export?format=jsonl", headers: ("Accept", Csv))).Type);
    }

    [Theory]
    [InlineData("")]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("text/csv; charset=iso-8859-1")]
    public async Task Import_of_another_type_is_rejected(string type)
    {
        (await ImportAsync("client_id,capacity,rate_per_sec\na,1,1\n", type))
            .IsError(415, "Content-Type: application/x-ndjson or text/csv");
        Assert.Equal(0, _admin.Host.Proxy.Limiter.Clients.Count);
    }

    [Fact]
    public async Task Parameters_that_are_wrong_are_faults()
    {
        (await ImportAsync("x", query: "?mode=replace&dry_run=yes"))
            .HasFaults("mode must be upsert or create", "dry_run must be true or false");
        (await _admin.SendAsync("GET", "/clients/export?format=xml")).HasFaults("format must be jsonl or csv");
    }

    [Fact]
    public async Task Import_larger_than_its_bound_is_rejected_before_it_is_sent()
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(_admin.Host.AdminUrl!.Host, _admin.Host.AdminUrl.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes("POST /clients/import HTTP/1.1\r\nHost: localhost\r\n"
            + $"Content-Type: text/csv\r\nContent-Length: {(64 * 1024 * 1024) + 1}\r\nExpect: 100-continue\r\n"
            + "Connection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream());
        string answer = await reader.ReadToEndAsync();

        Assert.StartsWith("HTTP/1.1 413 ", answer);
        Assert.Contains("{\"code\":413,\"message\":\"the body is larger than 67108864 bytes", answer);
    }

    private Task<Answer> ImportAsync(string file, string type = Csv, string query = "") =>
        _admin.SendAsync("POST", "/clients/import" + query, file, type);

    /// <summary>While a node leases tokens, they may for a moment be visible neither in the shared bucket nor at the
    /// node, or at both.</summary>
    private async Task HasAsync(string id, int capacity, double tokens)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(10))
        {
            Answer client = await _admin.SendAsync("GET", "/clients/" + Uri.EscapeDataString(id));
            Assert.Equal(capacity, client["capacity"].GetInt32());
            double has = client["current_tokens"].GetDouble();
            if ((has < tokens - 0.01 || has > tokens + 0.5) && watch.Elapsed.TotalSeconds < 5)
            {
                continue;
            }

            Assert.InRange(has, tokens - 0.01, tokens + 0.5);
            return;
        }
    }

    private protected AdminFixture Admin => _admin;
}

public sealed class SqliteClientFileTests : ClientFileTests
{
    private readonly StoreFile _file = new();

    private protected override ValueTask<string> NewSettingAsync() => new(_file.Setting);

    private protected override void Discard() => _file.Dispose();

    [Fact]
    public async Task Failing_store_rejects_both_and_nothing_changes()
    {
        await Admin.CreateAsync("a", 100, 40);
        _file.Break();

        (await Admin.SendAsync("POST", "/clients/import", "client_id,capacity,rate_per_sec\na,1,1\n", "text/csv"))
            .IsError(503, "nothing was changed");
        (await Admin.SendAsync("GET", "/clients/export")).IsError(503, "no such table");

        Assert.True(Admin.Host.Proxy.Limiter.Clients.TryGet("a", out ClientState client));
        Assert.Equal(100, client.Limit.Capacity);
    }

    [Fact]
    public async Task Export_during_which_the_store_fails_does_not_end_as_if_it_were_whole()
    {
        const int Count = 20_000; // some 15 MB, more than the system keeps for a caller that does not read
        using var file = new StoreFile();
        using (IClientStore store = ClientStores.Open(file.Setting, TimeProvider.System))
        {
            string name = new string('ж', 240);
            store.PutAll([.. Enumerable.Range(0, Count).Select(i => new ClientPut($"{i}{name}", new(10, 1), null))]);
        }
        await using AdminFixture admin = await AdminFixture.StartAsync(file.Setting);
        using var tcp = new TcpClient { ReceiveBufferSize = 4096 };
        await tcp.ConnectAsync(admin.Host.AdminUrl!.Host, admin.Host.AdminUrl.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            "GET /clients/export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        byte[] buffer = new byte[64 * 1024];
        int length = await tcp.GetStream().ReadAsync(buffer);
        Assert.StartsWith("HTTP/1.1 200 OK", Encoding.ASCII.GetString(buffer, 0, length));

        file.Break();

        string end = "";
        try
        {
            while ((length = await tcp.GetStream().ReadAsync(buffer)) > 0)
            {
                end += Encoding.ASCII.GetString(buffer, 0, length);
                end = end[Math.Max(0, end.Length - 20)..];
            }
        }
        catch (IOException)
        {
            // A reset is also correct.
        }
        Assert.False(end.EndsWith("\r\n0\r\n\r\n", StringComparison.Ordinal), "it ends as if it were whole");
        Assert.Equal(1, admin.Log.Count("store_failing"));
    }
}

public sealed class PostgresClientFileTests(SharedPostgres postgres) : ClientFileTests
{
    private protected override async ValueTask<string> NewSettingAsync() =>
        await (await postgres.StartedAsync()).NewDatabaseAsync();
}
