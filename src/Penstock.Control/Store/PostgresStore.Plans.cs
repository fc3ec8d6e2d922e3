using Npgsql;
using NpgsqlTypes;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <content>Plans, and the columns of a client that refer to them.</content>
internal sealed partial class PostgresStore
{
    public List<PlanNumbers> Plans() => Use(AllPlans);

    List<PlanNumbers> IClientTransaction.Plans() => AllPlans();

    private List<PlanNumbers> AllPlans()
    {
        using NpgsqlBatch command =
            Command("SELECT plan, capacity, rate_per_sec, version FROM penstock_plans ORDER BY plan");
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var plans = new List<PlanNumbers>();
        while (rows.Read())
        {
            plans.Add(new(rows.GetString(0), new(rows.GetInt64(1), rows.GetDouble(2)), rows.GetInt64(3)));
        }

        return plans;
    }

    PlanNumbers IClientTransaction.PutPlan(string name, LimitConfig numbers)
    {
        using NpgsqlBatch command = Command(
            """
            INSERT INTO penstock_plans (plan, capacity, rate_per_sec) VALUES ($1, $2, $3)
            ON CONFLICT (plan) DO UPDATE SET capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec
            RETURNING version
            """,
            Text(name), new NpgsqlParameter<long> { TypedValue = numbers.Capacity },
            new NpgsqlParameter<double> { TypedValue = numbers.RatePerSecond });
        using NpgsqlDataReader row = PostgresConnection.Read(command);
        row.Read();
        return new(name, numbers, row.GetInt64(0));
    }

    bool IClientTransaction.DeletePlan(string name) =>
        Execute("DELETE FROM penstock_plans WHERE plan = $1", Text(name)) > 0;

    public Dictionary<string, long> CountPlanned() => Use(() =>
    {
        using NpgsqlBatch command =
            Command("SELECT plan, count(*) FROM penstock_clients WHERE plan IS NOT NULL GROUP BY plan");
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var counts = new Dictionary<string, long>();
        while (rows.Read())
        {
            counts.Add(rows.GetString(0), rows.GetInt64(1));
        }

        return counts;
    });

    long IClientTransaction.CountPlanned(string name)
    {
        using NpgsqlBatch command = Command("SELECT count(*) FROM penstock_clients WHERE plan = $1", Text(name));
        using NpgsqlDataReader row = PostgresConnection.Read(command);
        row.Read();
        return row.GetInt64(0);
    }

    private static StoredEdit Edit(NpgsqlDataReader row)
    {
        long version = row.GetInt64(4);
        if (row.IsDBNull(1))
        {
            return new(version, DeletedId: row.GetString(0));
        }

        return row.IsDBNull(3) // tokens
            ? new(version, Plan: new(row.GetString(0), new(row.GetInt64(1), row.GetDouble(2)), version))
            : new(version, Row(row));
    }

    private static string AccessOf(ClientTerms? terms) => TermsText.WordOf(terms?.Access ?? ClientAccess.Limited);

    private static bool HasNumbers(ClientTerms? terms) => terms?.HasNumbers != false;
}
