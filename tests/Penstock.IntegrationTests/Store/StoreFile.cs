using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Penstock.IntegrationTests.Store;

/// <summary>A store file in a temporary directory, and direct changes to it without Penstock.</summary>
internal sealed class StoreFile : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("penstock-store-");

    public string Path => System.IO.Path.Combine(_directory.FullName, "clients.db");
    public string Setting => "sqlite:" + Path;

    /// <summary>Copies the file and its log as they are now, as a killed process would leave them.</summary>
    public StoreFile CopyAsKilled()
    {
        var copy = new StoreFile();
        File.Copy(Path, copy.Path);
        if (File.Exists(Path + "-wal"))
        {
            File.Copy(Path + "-wal", copy.Path + "-wal");
        }

        return copy;
    }

    public void Execute(string sql)
    {
        using SqliteConnection connection = Connect();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public T Scalar<T>(string sql)
    {
        using SqliteConnection connection = Connect();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return (T)command.ExecuteScalar()!;
    }

    public double Tokens(string clientId) =>
        Scalar<double>($"SELECT tokens FROM clients WHERE client_id = '{clientId}'");

    // the old way, in which views go on naming the table that is away
    public void Break() => Execute("PRAGMA legacy_alter_table = ON; ALTER TABLE clients RENAME TO away");

    public void Repair() => Execute("PRAGMA legacy_alter_table = ON; ALTER TABLE away RENAME TO clients");

    public void Dispose() => _directory.Delete(recursive: true);

    private SqliteConnection Connect()
    {
        Batteries_V2.Init();
        var connection = new SqliteConnection($"Data Source={Path};Pooling=False");
        connection.Open();
        return connection;
    }
}
