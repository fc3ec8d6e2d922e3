using Microsoft.Win32.SafeHandles;

namespace Penstock.Control.Store;

/// <summary>The <c>store</c> of the configuration.</summary>
internal static class ClientStores
{
    public const string Kinds = "sqlite:PATH, postgres://user:password@host:5432/database or memory";

    /// <summary>True if the value has the form of a store that can be opened.</summary>
    public static bool IsKnown(string setting) => setting == "memory" || PostgresUrl.TryParse(setting, out _)
        || (setting.StartsWith(SqliteStore.Prefix, StringComparison.Ordinal)
            && setting.Length > SqliteStore.Prefix.Length && !IsSqliteUrl(setting));

    /// <summary><c>sqlite://a.db</c>, which others read as a path of the working directory, and a file system as one of
    /// its root.</summary>
    private static bool IsSqliteUrl(string setting) => setting.StartsWith("sqlite://", StringComparison.Ordinal);

    /// <summary>The fault of a value that is not known: "what is wrong; what to write instead". It quotes only the name
    /// of a parameter, because the rest may contain a password.</summary>
    public static string Fault(string setting)
    {
        const string Form = "write postgres://user:password@host:5432/database";
        if (IsSqliteUrl(setting))
        {
            return "sqlite: is followed by a path, not by //; write sqlite:penstock.db, or sqlite:/folder/penstock.db";
        }
        if (!PostgresUrl.TryParse(setting, out _, out string? fault) && fault.Length > 0)
        {
            return fault.Contains("; ", StringComparison.Ordinal) ? fault : $"{fault}; {Form}";
        }

        return setting.StartsWith("postgres", StringComparison.OrdinalIgnoreCase)
            ? $"this PostgreSQL address cannot be read; {Form}"
            : $"this is not a store; write {Kinds}";
    }

    /// <summary>True if the store can keep buckets of unregistered clients; nodes do not share those.</summary>
    public static bool KeepsBuckets(string setting) => setting.StartsWith(SqliteStore.Prefix, StringComparison.Ordinal);

    /// <summary>Opens the store, creates it if it is missing, and migrates it to the newest schema.</summary>
    /// <param name="inheritedLock">See <see cref="SqliteFile.Claim"/>.</param>
    /// <exception cref="StartException">The message names the store and the cause, without a password.</exception>
    public static IClientStore Open(string setting, TimeProvider time, SafeFileHandle? inheritedLock = null)
    {
        if (PostgresUrl.TryParse(setting, out PostgresUrl? url))
        {
            return PostgresStore.Open(url);
        }

        return IsKnown(setting)
            ? SqliteStore.Open(setting, time, inheritedLock)
            : throw new StartException($"store: {Fault(setting)}");
    }

    /// <summary>The store's name for banners and messages, without a password.</summary>
    public static string NameOf(string setting) => PostgresUrl.TryParse(setting, out PostgresUrl? url)
        ? url.Name : SqliteStore.NameOf(setting);
}
