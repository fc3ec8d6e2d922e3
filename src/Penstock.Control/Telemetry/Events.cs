using Microsoft.Extensions.Logging;
using Penstock.Proxy.Observability;

namespace Penstock.Control.Telemetry;

/// <summary>The control plane's events: 100 to 199.</summary>
internal static class Events
{
    public static readonly EventList List = new();

    public static readonly EventId Reloaded = List.Add(100, "reloaded",
        "A reload put the configuration in force, but for what is read at start only.");
    public static readonly EventId ReloadFailed = List.Add(101, "reload_failed",
        "A reload failed; the old configuration stays in force.");
    public static readonly EventId AdminLoginFailed = List.Add(102, "admin_login_failed",
        "Somebody called the admin API without the right token.");
    public static readonly EventId ClientChanged = List.Add(110, "client_changed",
        "A client was created, edited or deleted.");
    public static readonly EventId ClientIgnored = List.Add(111, "client_ignored",
        "The store has a client or a plan with numbers that are not valid.");
    public static readonly EventId ClientsImported = List.Add(112, "clients_imported", "Clients were imported.");
    public static readonly EventId PlanChanged = List.Add(113, "plan_changed",
        "A plan was created, edited or deleted.");
    public static readonly EventId StoreFailing = List.Add(114, "store_failing",
        "The store does not work: limits hold on from memory, edits are rejected.");
    public static readonly EventId StoreRecovered = List.Add(115, "store_recovered", "The store works again.");
    public static readonly EventId BucketsLoaded = List.Add(116, "buckets_loaded",
        "Buckets of clients that are not registered were loaded at start.");
    public static readonly EventId TokensLost = List.Add(117, "tokens_lost",
        "At a stop, the tokens of some clients could not be saved.");
    public static readonly EventId FlushFailed = List.Add(118, "flush_failed",
        "Saving buckets failed by an error of Penstock's own; it is tried again.");
    public static readonly EventId DatabaseLost = List.Add(130, "database_lost",
        "The database that nodes share is out of reach: this node goes on with its share of each limit.");
    public static readonly EventId DatabaseBack = List.Add(131, "database_back",
        "The database is back: limits are shared again.");
    public static readonly EventId DatabasePooled = List.Add(132, "database_pooled",
        "A connection pooler stands before the database: edits of other nodes are asked for instead of announced.");
    public static readonly EventId ClientsReloaded = List.Add(133, "clients_reloaded",
        "This node may have missed other nodes' edits and read all clients anew.");
    public static readonly EventId LeaseBug = List.Add(134, "lease_bug",
        "Leasing tokens met an error of Penstock's own; it goes on.");
    public static readonly EventId EditFeedBug = List.Add(135, "edit_feed_bug",
        "Reading other nodes' edits met an error of Penstock's own; it goes on.");
}
