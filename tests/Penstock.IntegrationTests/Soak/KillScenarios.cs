using System.Globalization;
using Microsoft.Data.Sqlite;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary><c>kill -9</c> of the real program at any moment, while a registered client sends far more than its limit
/// and operators edit others. Three rounds by default; <c>PENSTOCK_KILL_ROUNDS</c> sets another number,
/// <c>PENSTOCK_KILL_SEED</c> repeats a run.
///
/// What is asserted: a round admits at most the tokens at its start plus <c>rate · length</c>. A kill gives back the
/// tokens that were admitted since the last save: at most the tokens of that save plus <c>rate · w</c>, where <c>w</c>
/// is the time from the save to the kill (a flush interval plus delays of the machine). All rounds together admit at
/// most <c>capacity + rate · time</c> plus the tokens that the kills gave back.</summary>
[Trait("tls", "no")]
public sealed class KillScenarios(ITestOutputHelper output) : ProgramScenarios
{
    private const string Hammered = "hammered";

    private static readonly ClientLimit Limit = new(200, 200);

    private static readonly int Rounds = int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_KILL_ROUNDS") ?? "3", CultureInfo.InvariantCulture);

    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("PENSTOCK_KILL_SEED"),
        CultureInfo.InvariantCulture, out int seed) ? seed : Random.Shared.Next(100_000);

    private int _delivered;
    private int _open;

    [Fact]
    public async Task Kill_at_any_moment_loses_no_edit_and_gives_back_one_flush_interval_at_most()
    {
        output.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        await using ScriptedBackend backend = CountingBackend();
        WriteConfig(backend.Port);
        Editor[] editors = [.. Enumerable.Range(0, 3).Select(i => new Editor(Admin, $"e{i}-", Seed + i))];
        DateTimeOffset began = DateTimeOffset.UtcNow;
        var saved = new Saved(Limit.Capacity, began);
        var all = new Sum();
        for (int round = 0; round < Rounds; round++)
        {
            DateTimeOffset launched = DateTimeOffset.UtcNow;
            await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
            if (round == 0)
            {
                Assert.True(await editors[0].PutAsync(Hammered, Limit));
            }
            await Editor.AssertKeptAsync(Admin, editors, (Hammered, Limit));

            using var load = new Flood(Port, Hammered, connections: 4);
            var editing = editors.Select(static e => Task.Run(e.RunAsync)).ToList();
            if (round % 2 == 1) // an edit of the very client that moves saves its tokens, too
            {
                editing.Add(Task.Run(() => editors[0].RepeatAsync(Hammered, Limit)));
            }
            await Task.Delay(random.Next(2500)); // the moment of the kill, not a wait for something
            penstock.Signal("KILL");
            await penstock.ExitCodeAsync();
            DateTimeOffset killed = DateTimeOffset.UtcNow;
            await Task.WhenAll([.. editing, load.EndAsync()]).WaitAsync(TimeSpan.FromSeconds(20));
            await Eventually.TrueAsync(() => Volatile.Read(ref _open) == 0, "the backend has read all that was sent");

            int admitted = Interlocked.Exchange(ref _delivered, 0);
            double most = saved.TokensAt(launched) + (Limit.Rate * (killed - launched).TotalSeconds);
            Assert.True(admitted <= most, $"round {round}: {admitted} admitted, {most:0.0} allowed");
            Saved now = await ReadLeftAsync();
            bool flushed = now.At > launched;
            all.Add(admitted, load.Seconds * Limit.Rate, flushed ? (killed - now.At).TotalSeconds : 0,
                flushed ? now.Tokens + (Limit.Rate * (killed - now.At).TotalSeconds) : most);
            saved = now;
        }

        double limit = Limit.Capacity + (Limit.Rate * (DateTimeOffset.UtcNow - began).TotalSeconds);
        output.WriteLine($"{Rounds} rounds: {all}; capacity + rate x time: {limit:0}; "
            + $"{editors.Sum(static e => e.Acknowledged)} edits acknowledged, {editors.Sum(static e => e.Cut)} cut");
        Assert.True(all.Admitted <= limit + all.GivenBack, $"{all}, allowed {limit:0}");
    }

    /// <summary>What the kill left passes SQLite's own check, and the client's tokens in it. Looked at in a copy, for
    /// Penstock must find the files as they are.</summary>
    private async Task<Saved> ReadLeftAsync()
    {
        string copy = Directory.CreateTempSubdirectory("penstock-left-").FullName;
        try
        {
            foreach (string file in Directory.GetFiles(Folder, "penstock.db*").Where(static f => !f.EndsWith("-shm",
                StringComparison.Ordinal)))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }
            await using var connection = new SqliteConnection(
                $"Data Source={Path.Combine(copy, "penstock.db")};Pooling=False");
            connection.Open();
            await using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "PRAGMA integrity_check";
            Assert.Equal("ok", command.ExecuteScalar());
            command.CommandText = $"SELECT tokens, tokens_at_unix_ms FROM clients WHERE client_id = '{Hammered}'";
            await using SqliteDataReader row = command.ExecuteReader();
            Assert.True(row.Read());
            return new Saved(row.GetDouble(0), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1)));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    private ScriptedBackend CountingBackend() => new(async peer =>
    {
        Interlocked.Increment(ref _open);
        try
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                Interlocked.Increment(ref _delivered);
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    });

    private void WriteConfig(int backend) => File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        clients: { identify: [header:X-Client-ID, address] }
        backends: [http://127.0.0.1:{{backend}}]
        access_log: off
        store: sqlite:penstock.db
        """);

    /// <summary>The client's tokens in the store, and when they were that many.</summary>
    private readonly record struct Saved(double Tokens, DateTimeOffset At)
    {
        public double TokensAt(DateTimeOffset time) =>
            Math.Min(Limit.Capacity, Tokens + (Limit.Rate * Math.Max(0, (time - At).TotalSeconds)));
    }

    /// <summary>The sums over all rounds.</summary>
    private sealed class Sum
    {
        private double _longest;

        public int Admitted { get; private set; }
        public double Due { get; private set; }
        public double GivenBack { get; private set; }

        /// <param name="due">What the limit gave while the load ran.</param>
        /// <param name="window">Seconds from the last save to the kill.</param>
        /// <param name="lost">Most that was admitted in that time.</param>
        public void Add(int admitted, double due, double window, double lost)
        {
            (Admitted, Due, _longest) = (Admitted + admitted, Due + due, Math.Max(_longest, window));
            GivenBack += Math.Min(lost, admitted);
        }

        public override string ToString() => $"{Admitted} admitted, {Due:0} due, {GivenBack:0} given back at most, "
            + $"last save {_longest * 1000:0} ms before the kill at most";
    }
}
