using Penstock.Control.Store;

namespace Penstock.Control.Acme;

/// <summary>Something that is stored about a CA: its account, a certificate with its key, a failed try.</summary>
/// <param name="Directory">The URL of the CA's directory.</param>
/// <param name="Name">Such as <c>account.json</c> or <c>example.com.pem</c>.</param>
internal readonly record struct AcmeItem(string Directory, string Name);

/// <summary>Keeps accounts, certificates and keys. A kill at any moment leaves the old item or the new one. All members
/// throw <see cref="AcmeException"/> if the storage fails, except those that say otherwise. Not thread-safe.</summary>
internal interface IAcmeStorage : IDisposable
{
    /// <summary>For messages, without secrets.</summary>
    string Name { get; }

    /// <summary>Other nodes read what this one writes, and answer challenges that it has started.</summary>
    bool IsShared { get; }

    /// <summary>Those of the items that exist.</summary>
    IReadOnlyDictionary<AcmeItem, string> Read(IReadOnlyCollection<AcmeItem> items);

    /// <param name="text">Null: the item is removed.</param>
    void Write(AcmeItem item, string? text);

    /// <summary>A number that changes when a node has written something; 0 if the storage is not shared.</summary>
    long Version();

    /// <summary>How many nodes are there, with this one.</summary>
    long Nodes();

    /// <summary>True: until <see cref="EndLead"/>, and for <see cref="AcmeStorages.MaxLead"/>, no other process orders
    /// certificates.</summary>
    bool TryLead();

    /// <summary>Does not throw.</summary>
    void EndLead();
}

/// <summary>Opens the storage that the configuration asks for.</summary>
internal static class AcmeStorages
{
    private const string Folder = "acme";

    /// <summary>Longer than any order, so that a node does not lose the lead while it orders; how long the others wait
    /// when it has crashed.</summary>
    public static readonly TimeSpan MaxLead = AcmeClient.MaxOrder + TimeSpan.FromMinutes(2);

    /// <param name="store">The <c>store</c> of the configuration.</param>
    /// <param name="folder">Its <c>tls.acme.storage</c>; empty: the default.</param>
    public static IAcmeStorage Open(string store, string folder) =>
        PostgresUrl.TryParse(store, out PostgresUrl? url) ? new AcmeRows(url)
            : new AcmeFiles(folder.Length > 0 ? folder : DefaultFolder(store));

    private static string DefaultFolder(string store) => ClientStores.KeepsBuckets(store)
        ? Path.Combine(Path.GetDirectoryName(store[SqliteStore.Prefix.Length..]) ?? "", Folder) : Folder;
}
