using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>Faults of the SQLite store of the real program: a full disk, a lock, a file system that gets read-only.
/// Limits are enforced from memory, edits are rejected with the cause, and changed tokens are saved when the store
/// works again.</summary>
public sealed class StoreFaultScenarios : ProgramScenarios
{
    private const string Id = "client1";
    private static readonly ClientLimit Limit = new(1000, 0.01);
    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");

    [Fact]
    public async Task Full_disk_rejects_edits_and_what_moved_is_saved_when_there_is_room_again()
    {
        Assert.SkipWhen(MountedFolder.Obstacle is not null, MountedFolder.Obstacle ?? "");
        using var disk = MountedFolder.InMemory("1m");
        await using PenstockProcess penstock = await StartedAsync(disk.Path);
        await FailsAndHoldsOnAsync(penstock, disk.Path, "the disk is full", disk.Fill);
        disk.MakeRoom();
        await CatchesUpAsync(penstock, disk.Path, "the disk is full");
    }

    [Fact]
    public async Task Disk_of_1_MB_is_not_filled_by_the_store_itself()
    {
        Assert.SkipWhen(MountedFolder.Obstacle is not null, MountedFolder.Obstacle ?? "");
        using var disk = MountedFolder.InMemory("1m");
        await using PenstockProcess penstock = await StartedAsync(disk.Path);
        for (int edit = 1; edit <= 1000; edit++) // each writes a page to the log beside the database, of 4 kB
        {
            Assert.Equal((HttpStatusCode.OK, ""), await EditAsync(Limit.Capacity + edit));
        }
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("store_failing", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Locked_database_rejects_edits_soon_and_what_moved_is_saved_when_it_is_free()
    {
        await using PenstockProcess penstock = await StartedAsync(Folder);
        await using (SqliteConnection other = Open(Folder))
        {
            Execute(other, "BEGIN EXCLUSIVE");
            await FailsAndHoldsOnAsync(penstock, Folder, "locked by another program");

            // They must not wait for the lock one after another: that would take 40 seconds, and the client waits 20.
            (HttpStatusCode Status, string)[] edits = await Task.WhenAll(Enumerable.Range(0, 20)
                .Select(_ => EditAsync(Limit.Capacity + 1)));
            Assert.All(edits, static e => Assert.Equal(HttpStatusCode.ServiceUnavailable, e.Status));
            Execute(other, "ROLLBACK");
        }
        await CatchesUpAsync(penstock, Folder, "locked by another program");
    }

    [Fact]
    public async Task File_system_that_the_kernel_made_read_only_rejects_edits_and_limits_hold_on()
    {
        Assert.SkipWhen(MountedFolder.DiskObstacle is not null, MountedFolder.DiskObstacle ?? "");
        using var disk = MountedFolder.OnDisk();
        await using PenstockProcess penstock = await StartedAsync(disk.Path);
        disk.Abort();
        await FailsAndHoldsOnAsync(penstock, disk.Path, "read-only");
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l =>
            l.Contains("tokens_lost", StringComparison.Ordinal)), "the log says what is lost");
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("flush_failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_without_its_PostgreSQL_fails_with_place_and_cause_and_no_password()
    {
        int nobody = PenstockProcess.FreePort();
        WriteConfig(Folder, $"postgres://user:topsecret@127.0.0.1:{nobody}/limits");
        await using PenstockProcess penstock = PenstockProcess.Start(Folder, "run");
        Assert.Equal(1, await penstock.ExitCodeAsync());
        await Eventually.TrueAsync(() => penstock.Lines.Any(l =>
            l.Contains($"127.0.0.1:{nobody}/limits", StringComparison.Ordinal)
            && l.Contains("connection refused", StringComparison.OrdinalIgnoreCase)), "it says where and why");
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("topsecret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_on_a_read_only_file_system_fails_with_the_cause()
    {
        Assert.SkipWhen(MountedFolder.Obstacle is not null, MountedFolder.Obstacle ?? "");
        using var disk = MountedFolder.InMemory("1m");
        await (await StartedAsync(disk.Path)).DisposeAsync();
        disk.RemountReadOnly();
        await AssertStartFailsAsync(disk.Path, "Read-only file system");
    }

    [Fact]
    public async Task Start_with_a_database_that_is_locked_or_damaged_fails_with_the_cause()
    {
        await (await StartedAsync(Folder)).DisposeAsync();
        await using (SqliteConnection other = Open(Folder))
        {
            Execute(other, "BEGIN EXCLUSIVE");
            await AssertStartFailsAsync(Folder, "is locked by another program");
        }
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.db"), new string('x', 5000));
        File.Delete(Path.Combine(Folder, "penstock.db-wal"));
        await AssertStartFailsAsync(Folder, "is not an SQLite database");
    }

    /// <summary>Asserts: degraded with the cause, one log line, edits rejected, the limit enforced, the client
    /// unchanged.</summary>
    /// <param name="harm">The fault, which is repeated together with an edit until it has an effect.</param>
    private async Task FailsAndHoldsOnAsync(
        PenstockProcess penstock, string folder, string cause, Action? harm = null)
    {
        harm?.Invoke();
        await SendAsync(300);
        await UntilAsync("degraded", cause, harm);
        for (int i = 0; i < 3; i++)
        {
            (HttpStatusCode status, string body) = await EditAsync(5);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
            Assert.Contains("nothing was changed", body);
            Assert.Contains(cause, body);
            using HttpResponseMessage list = await Http.GetAsync(new Uri(Admin, "clients")); // says nothing of writing
        }
        await SendAsync(200);
        JsonElement client = await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "clients/" + Id));
        Assert.Equal(Limit.Capacity, client.GetProperty("capacity").GetInt64());
        Assert.InRange(client.GetProperty("current_tokens").GetDouble(), 500, 501);
        await UntilAsync("degraded", cause);
        Assert.Single(penstock.Lines, static l => l.Contains("store_failing", StringComparison.Ordinal));
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("store_recovered", StringComparison.Ordinal));
        Assert.InRange(Scalar(folder, "capacity"), Limit.Capacity, Limit.Capacity);
    }

    private async Task CatchesUpAsync(PenstockProcess penstock, string folder, string cause)
    {
        await UntilAsync("ready", "");
        await Eventually.TrueAsync(() => Scalar(folder, "tokens") is > 500 and < 501, "what moved is saved");
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l =>
            l.Contains("store_recovered", StringComparison.Ordinal)), "the log says so");
        string line = Assert.Single(penstock.Lines, static l =>
            l.Contains("store_recovered", StringComparison.Ordinal));
        Assert.Contains(cause, line);
        Assert.Single(penstock.Lines, static l => l.Contains("store_failing", StringComparison.Ordinal));
        Assert.Equal((HttpStatusCode.OK, ""), await EditAsync(Limit.Capacity + 1));
        Assert.Equal(Limit.Capacity + 1, Scalar(folder, "capacity"));
    }

    private async Task<PenstockProcess> StartedAsync(string folder)
    {
        WriteConfig(folder);
        PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        using HttpResponseMessage created = await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + Id),
            new { capacity = Limit.Capacity, rate_per_sec = Limit.Rate });
        created.EnsureSuccessStatusCode();
        return penstock;
    }

    private async Task AssertStartFailsAsync(string folder, string cause)
    {
        await using PenstockProcess penstock = PenstockProcess.Start(Folder, "run");
        Assert.Equal(1, await penstock.ExitCodeAsync());
        await Eventually.TrueAsync(() => penstock.Lines.Any(l => l.Contains(folder, StringComparison.Ordinal)
            && l.Contains(cause, StringComparison.Ordinal)), $"it says: {cause}");
    }

    private Task SendAsync(int requests) => SendAsync(requests, $"X-Client-ID: {Id}\r\n");

    private async Task<(HttpStatusCode Status, string Body)> EditAsync(long capacity)
    {
        using HttpResponseMessage response = await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + Id),
            new { capacity, rate_per_sec = Limit.Rate });
        return (response.StatusCode,
            response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync());
    }

    /// <summary>Waits until /readyz reports this status.</summary>
    private Task UntilAsync(string status, string text, Action? meanwhile = null) => Eventually.TrueAsync(async () =>
    {
        if (meanwhile is not null)
        {
            meanwhile();
            await EditAsync(Limit.Capacity);
        }
        using HttpResponseMessage response = await Http.GetAsync(new Uri(Admin, "readyz"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        string body = await response.Content.ReadAsStringAsync();
        return body.Contains($"\"status\":\"{status}\"", StringComparison.Ordinal)
            && body.Contains(text, StringComparison.Ordinal);
    }, $"/readyz says {status} {text}");

    /// <summary>Reads the database directly, without the program.</summary>
    private static double Scalar(string folder, string column)
    {
        using SqliteConnection connection = Open(folder);
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT {column} FROM clients WHERE client_id = '{Id}'";
        return Convert.ToDouble(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static SqliteConnection Open(string folder)
    {
        var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "penstock.db")};Pooling=False");
        connection.Open();
        return connection;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private void WriteConfig(string folder, string? store = null) => File.WriteAllText(
        Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        clients: { identify: [header:X-Client-ID, address] }
        backends: [http://127.0.0.1:{{_backend.Port}}]
        access_log: off
        store: {{store ?? $"sqlite:{folder}/penstock.db"}}
        """);
}
