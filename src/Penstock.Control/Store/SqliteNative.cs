using System.Reflection;
using System.Runtime.InteropServices;
using SQLitePCL;

namespace Penstock.Control.Store;

/// <summary>Chooses the native SQLite library: the system's, which the distribution patches, before the one that
/// comes with the package (3.35, of 2021).</summary>
internal static class SqliteNative
{
    private static readonly Lazy<bool> Loaded = new(() =>
    {
        NativeLibrary.SetDllImportResolver(typeof(SQLite3Provider_e_sqlite3).Assembly, Resolve);
        Batteries_V2.Init();
        return true;
    });

    /// <summary>To call before anything else of SQLite: functions that were found before are another library's.
    /// </summary>
    public static void Load() => _ = Loaded.Value;

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) =>
        name == "e_sqlite3" && NativeLibrary.TryLoad("libsqlite3.so.0", assembly, path, out var system)
            ? system
            : nint.Zero; // zero: the runtime goes on to look for the bundled one
}
