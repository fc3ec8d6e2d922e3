using Microsoft.Data.Sqlite;

namespace Penstock.Control.Store;

/// <content>Backends that the admin API added.</content>
internal sealed partial class SqliteStore
{
    private const string BackendsMigration = """
        CREATE TABLE backends (
            upstream TEXT NOT NULL,
            address  TEXT NOT NULL,
            settings TEXT NOT NULL CHECK (json_valid(settings)),
            PRIMARY KEY (upstream, address)
        ) WITHOUT ROWID
        """;

    public List<StoredBackend> Backends() => Use(() =>
    {
        using SqliteCommand command =
            Command("SELECT upstream, address, settings FROM backends ORDER BY upstream, address");
        using SqliteDataReader rows = command.ExecuteReader();
        var backends = new List<StoredBackend>();
        while (rows.Read())
        {
            backends.Add(new(rows.GetString(0), rows.GetString(1), rows.GetString(2)));
        }

        return backends;
    });

    public void PutBackend(StoredBackend backend) => Use(() => Execute(
        "INSERT OR REPLACE INTO backends (upstream, address, settings) VALUES ($upstream, $address, $settings)",
        ("$upstream", backend.Upstream), ("$address", backend.Address), ("$settings", backend.Settings)));

    public bool DeleteBackend(string upstream, string address) => Use(() => Execute(
        "DELETE FROM backends WHERE upstream = $upstream AND address = $address",
        ("$upstream", upstream), ("$address", address))) > 0;
}
