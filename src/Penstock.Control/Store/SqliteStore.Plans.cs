using Microsoft.Data.Sqlite;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <content>Plans, and the columns of a client that refer to them.</content>
internal sealed partial class SqliteStore
{
    /// <summary>The columns of <c>planned_clients</c> that <see cref="Row"/> reads.</summary>
    private const string Columns =
        $"client_id, capacity, rate_per_sec, {Refilled} AS tokens_now, plan, access, has_numbers, limits";

    // A client with a plan has the plan's numbers; its own row keeps the numbers from when it got the plan.
    private const string PlansMigration = """
        CREATE TABLE plans (
            plan         TEXT    NOT NULL PRIMARY KEY,
            capacity     INTEGER NOT NULL CHECK (capacity BETWEEN 1 AND 1000000000),
            rate_per_sec REAL    NOT NULL CHECK (rate_per_sec > 0)
        ) WITHOUT ROWID;
        ALTER TABLE clients ADD COLUMN plan TEXT REFERENCES plans (plan);
        ALTER TABLE clients ADD COLUMN access TEXT NOT NULL DEFAULT 'limited'
            CHECK (access IN ('limited', 'blocked', 'exempt'));
        ALTER TABLE clients ADD COLUMN has_numbers INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE clients ADD COLUMN limits TEXT CHECK (limits IS NULL OR json_valid(limits));
        CREATE INDEX clients_by_plan ON clients (plan) WHERE plan IS NOT NULL;
        CREATE VIEW planned_clients AS
            SELECT client_id, coalesce(p.capacity, c.capacity) AS capacity,
                coalesce(p.rate_per_sec, c.rate_per_sec) AS rate_per_sec, tokens, tokens_at_unix_ms,
                c.plan AS plan, access, has_numbers, limits
            FROM clients c LEFT JOIN plans p ON p.plan = c.plan
        """;

    private static readonly (string Name, object Value)[] ClientParameters =
    [
        ("$id", ""), ("$capacity", 0L), ("$rate", 0.0), ("$tokens", 0.0), ("$plan", ""), ("$access", ""),
        ("$has_numbers", 1L), ("$limits", ""),
    ];

    public List<PlanNumbers> Plans() => Use(AllPlans);

    List<PlanNumbers> IClientTransaction.Plans() => AllPlans();

    private List<PlanNumbers> AllPlans()
    {
        using SqliteCommand command = Command("SELECT plan, capacity, rate_per_sec FROM plans ORDER BY plan");
        using SqliteDataReader rows = command.ExecuteReader();
        var plans = new List<PlanNumbers>();
        while (rows.Read())
        {
            plans.Add(new(rows.GetString(0), new(rows.GetInt64(1), rows.GetDouble(2))));
        }

        return plans;
    }

    PlanNumbers IClientTransaction.PutPlan(string name, LimitConfig numbers)
    {
        Execute("""
            INSERT INTO plans (plan, capacity, rate_per_sec) VALUES ($plan, $capacity, $rate)
            ON CONFLICT (plan) DO UPDATE SET capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec
            """,
            ("$plan", name), ("$capacity", numbers.Capacity), ("$rate", numbers.RatePerSecond));
        return new(name, numbers);
    }

    bool IClientTransaction.DeletePlan(string name) =>
        Execute("DELETE FROM plans WHERE plan = $plan", ("$plan", name)) > 0;

    public Dictionary<string, long> CountPlanned() => Use(() =>
    {
        using SqliteCommand command =
            Command("SELECT plan, count(*) FROM clients WHERE plan IS NOT NULL GROUP BY plan");
        using SqliteDataReader rows = command.ExecuteReader();
        var counts = new Dictionary<string, long>();
        while (rows.Read())
        {
            counts.Add(rows.GetString(0), rows.GetInt64(1));
        }

        return counts;
    });

    long IClientTransaction.CountPlanned(string name)
    {
        using SqliteCommand command = Command("SELECT count(*) FROM clients WHERE plan = $plan", ("$plan", name));
        return (long)command.ExecuteScalar()!;
    }

    private static void Set(SqliteCommand command, ClientPut client)
    {
        command.Parameters["$id"].Value = client.ClientId;
        command.Parameters["$capacity"].Value = client.Limit.Capacity;
        command.Parameters["$rate"].Value = client.Limit.RatePerSecond;
        command.Parameters["$tokens"].Value = client.Tokens ?? (object)DBNull.Value;
        command.Parameters["$plan"].Value = client.Terms?.Plan ?? (object)DBNull.Value;
        command.Parameters["$access"].Value = TermsText.WordOf(client.Terms?.Access ?? ClientAccess.Limited);
        command.Parameters["$has_numbers"].Value = client.Terms?.HasNumbers == false ? 0L : 1L;
        command.Parameters["$limits"].Value = TermsText.LimitsOf(client.Terms) ?? (object)DBNull.Value;
    }
}
