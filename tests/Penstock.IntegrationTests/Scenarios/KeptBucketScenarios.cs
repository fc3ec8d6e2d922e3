using System.Globalization;
using System.Net;
using Microsoft.Data.Sqlite;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Unregistered clients keep their buckets over restarts and kills of the real program.</summary>
public sealed class KeptBucketScenarios : ProgramScenarios
{
    [Fact]
    public async Task Address_keeps_its_bucket_over_a_stop_a_kill_and_a_changed_limit()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, 100);
        await using (PenstockProcess first = await PenstockProcess.StartedAsync(Folder, "run"))
        {
            Assert.Equal(40, await RemainingAsync(requests: 60));
            Assert.Contains(first.Lines, l => IsOfNewStore(l) && l.Contains(Folder, StringComparison.Ordinal));
            first.Signal("TERM");
            Assert.Equal(0, await first.ExitCodeAsync());
        }
        await using (PenstockProcess second = await PenstockProcess.StartedAsync(Folder, "run"))
        {
            Assert.Equal(30, await RemainingAsync(requests: 10));
            Assert.DoesNotContain(second.Lines, IsOfNewStore);
            long before = SavedAt();
            await Eventually.TrueAsync(() => SavedAt() > before, "what changed is saved");
            await second.KillAsync();
        }
        WriteConfig(backend.Port, 20);
        await using PenstockProcess third = await PenstockProcess.StartedAsync(Folder, "run");
        Assert.Equal(19, await RemainingAsync(requests: 1));
        Assert.Contains(third.Lines, static l => l.Contains("\"event\":\"buckets_loaded\"", StringComparison.Ordinal)
            && l.Contains("\"count\":1", StringComparison.Ordinal));
    }

    private static bool IsOfNewStore(string line) =>
        line.Contains("\"event\":\"store_created\"", StringComparison.Ordinal);

    /// <returns>Tokens left after the last of them.</returns>
    private async Task<int> RemainingAsync(int requests)
    {
        using var client = new RawClient(new IPEndPoint(IPAddress.Loopback, Port));
        string? state = null;
        for (int i = 0; i < requests; i++)
        {
            state = (await client.GetAsync())["RateLimit"];
        }
        string left = state!.Split(";r=")[1].Split(';')[0];
        return int.Parse(left, CultureInfo.InvariantCulture);
    }

    private long SavedAt()
    {
        using var connection = new SqliteConnection(
            $"Data Source={Path.Combine(Folder, "penstock.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT max(full_at_unix_ns) FROM buckets";
        return (long)command.ExecuteScalar()!;
    }

    private void WriteConfig(int backend, int capacity) => File.WriteAllText(
        Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: off
        clients: { save_unregistered: true }
        limits: { default: { capacity: {{capacity}}, rate: 10/h } }
        backends: [http://127.0.0.1:{{backend}}]
        access_log: off
        store: sqlite:penstock.db
        """);
}
