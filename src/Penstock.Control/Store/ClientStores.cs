namespace Penstock.Control.Store;

/// <summary>The <c>store</c> of the configuration.</summary>
internal static class ClientStores
{
    public const string Kinds = "sqlite:PATH, postgres://user:password@host:5432/database or memory";

    /// <summary>Is it one that can be opened, by its looks?</summary>
    public static bool IsKnown(string setting) => setting == "memory" || PostgresUrl.TryParse(setting, out _)
        || (setting.StartsWith(SqliteStore.Prefix, StringComparison.Ordinal)
            && setting.Length > SqliteStore.Prefix.Length);

    /// <summary>What is wrong with one that is not known: "what; what to write instead". No part of it is quoted but
    /// the name of a parameter, because the rest may hold a password.</summary>
    public static string Fault(string setting)
    {
        const string Form = "write postgres://user:password@host:5432/database";
        if (!PostgresUrl.TryParse(setting, out _, out string? fault) && fault.Length > 0)
        {
            return fault.Contains("; ", StringComparison.Ordinal) ? fault : $"{fault}; {Form}";
        }

        return setting.StartsWith("postgres", StringComparison.OrdinalIgnoreCase)
            ? $"this PostgreSQL address cannot be read; {Form}"
            : $"this is not a store; write {Kinds}";
    }

    /// <summary>Can it keep buckets of clients that are not registered? They are each node's own.</summary>
    public static bool KeepsBuckets(string setting) => setting.StartsWith(SqliteStore.Prefix, StringComparison.Ordinal);

    /// <summary>Opens it, creates what is missing in it and brings it to the newest schema.</summary>
    /// <exception cref="StartException">With the store and the cause, without its password.</exception>
    public static IClientStore Open(string setting, TimeProvider time)
    {
        if (PostgresUrl.TryParse(setting, out PostgresUrl? url))
        {
            return PostgresStore.Open(url);
        }

        return IsKnown(setting)
            ? SqliteStore.Open(setting, time)
            : throw new StartException($"store: {Fault(setting)}");
    }

    /// <summary>For banners and messages: without a password.</summary>
    public static string NameOf(string setting) => PostgresUrl.TryParse(setting, out PostgresUrl? url)
        ? url.Name : setting;
}
