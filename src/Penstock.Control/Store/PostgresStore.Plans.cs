using Npgsql;
using NpgsqlTypes;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>Plans, and how a client refers to one.</summary>
internal sealed partial class PostgresStore
{
    public List<PlanNumbers> Plans() => Use(() =>
    {
        using var command = Command("SELECT plan, capacity, rate_per_sec, version FROM penstock_plans ORDER BY plan");
        using var rows = PostgresConnection.Read(command);
        var plans = new List<PlanNumbers>();
        while (rows.Read())
            plans.Add(new(rows.GetString(0), new(rows.GetInt64(1), rows.GetDouble(2)), rows.GetInt64(3)));
        return plans;
    });

    public PlanNumbers PutPlan(string name, LimitConfig numbers) => Use(() =>
    {
        using var command = Command(
            """
            INSERT INTO penstock_plans (plan, capacity, rate_per_sec) VALUES ($1, $2, $3)
            ON CONFLICT (plan) DO UPDATE SET capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec
            RETURNING version
            """,
            Text(name), new NpgsqlParameter<long> { TypedValue = numbers.Capacity }, Number(numbers.RatePerSecond));
        using var row = PostgresConnection.Read(command);
        row.Read();
        return new PlanNumbers(name, numbers, row.GetInt64(0));
    });

    public bool DeletePlan(string name) =>
        Use(() => Execute("DELETE FROM penstock_plans WHERE plan = $1", Text(name)) > 0);

    public Dictionary<string, long> CountPlanned(string? name = null) => Use(() =>
    {
        using var command = Command(
            """
            SELECT plan, count(*) FROM penstock_clients WHERE plan IS NOT NULL AND ($1 IS NULL OR plan = $1)
            GROUP BY plan
            """,
            NullableText(name));
        using var rows = PostgresConnection.Read(command);
        var counts = new Dictionary<string, long>();
        while (rows.Read())
            counts.Add(rows.GetString(0), rows.GetInt64(1));
        return counts;
    });

    /// <summary>A client with a plan keeps what is in its row, or the trigger would take it for numbers that somebody
    /// gave it instead of the plan.</summary>
    private static string Kept(string column, string given) =>
        $"CASE WHEN {given}.plan IS NULL THEN {given}.{column} ELSE b.{column} END";

    private static StoredEdit Edit(NpgsqlDataReader row)
    {
        var version = row.GetInt64(4);
        if (row.IsDBNull(1)) return new(version, DeletedId: row.GetString(0));
        return row.IsDBNull(3) // tokens
            ? new(version, Plan: new(row.GetString(0), new(row.GetInt64(1), row.GetDouble(2)), version))
            : new(version, Row(row));
    }

    private static NpgsqlParameter[] Parameters(ClientPut client) =>
    [
        Text(client.ClientId), new NpgsqlParameter<long> { TypedValue = client.Limit.Capacity },
        Number(client.Limit.RatePerSecond), Number(client.Tokens), NullableText(client.Terms?.Plan),
        Text(AccessOf(client.Terms)), new NpgsqlParameter<bool> { TypedValue = HasNumbers(client.Terms) },
        NullableText(TermsText.LimitsOf(client.Terms)),
    ];

    private static string AccessOf(ClientTerms? terms) => TermsText.WordOf(terms?.Access ?? ClientAccess.Limited);

    private static bool HasNumbers(ClientTerms? terms) => terms?.HasNumbers != false;

    private static NpgsqlParameter NullableText(string? value) =>
        new() { NpgsqlDbType = NpgsqlDbType.Text, Value = (object?)value ?? DBNull.Value };
}
