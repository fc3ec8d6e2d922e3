using Npgsql;

namespace Penstock.Control.Store;

/// <content>Backends that the admin API added.</content>
internal sealed partial class PostgresStore
{
    public List<StoredBackend> Backends() => Use(() =>
    {
        using NpgsqlBatch command =
            Command("SELECT upstream, address, settings::text FROM penstock_backends ORDER BY upstream, address");
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var backends = new List<StoredBackend>();
        while (rows.Read())
        {
            backends.Add(new(rows.GetString(0), rows.GetString(1), rows.GetString(2)));
        }

        return backends;
    });

    public void PutBackend(StoredBackend backend) => Use(() => Execute(
        """
        INSERT INTO penstock_backends (upstream, address, settings) VALUES ($1, $2, $3::jsonb)
        ON CONFLICT (upstream, address) DO UPDATE SET settings = excluded.settings
        """,
        Text(backend.Upstream), Text(backend.Address), Text(backend.Settings)));

    public bool DeleteBackend(string upstream, string address) => Use(() => Execute(
        "DELETE FROM penstock_backends WHERE upstream = $1 AND address = $2", Text(upstream), Text(address))) > 0;
}
