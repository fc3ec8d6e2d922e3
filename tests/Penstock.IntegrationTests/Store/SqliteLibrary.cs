using System.Runtime.CompilerServices;
using Penstock.Control.Store;

namespace Penstock.IntegrationTests.Store;

/// <summary>Before any test opens a database by itself: functions that are found before the library is chosen are the
/// bundled one's, and two libraries on one database end in a jump to address 0.</summary>
internal static class SqliteLibrary
{
    [ModuleInitializer]
    public static void Choose() => SqliteNative.Load();
}
