using Microsoft.Extensions.Logging;
using Penstock.Proxy.Observability;

namespace Penstock.Control.Telemetry;

/// <summary>The control plane's events: 100 to 199.</summary>
internal static class Events
{
    public static readonly EventList List = new();

    public static readonly EventId Reloaded = List.Add(100, "reloaded",
        "A reload put the configuration in force, except for keys that are read only at start.");
    public static readonly EventId ReloadFailed = List.Add(101, "reload_failed",
        "A reload failed; the previous configuration stays in force.");
    public static readonly EventId ConfigWarning = List.Add(124, "config_warning",
        "The configuration is valid, but has a consequence that may not be intended.");
    public static readonly EventId ConfigChanged = List.Add(103, "config_changed",
        "What a reload changed, one line for each change.");
    public static readonly EventId ConfigFileChanged = List.Add(104, "config_file_changed",
        "A file of the configuration has changed; a reload follows.");
    public static readonly EventId OtlpFailing = List.Add(105, "otlp_failing",
        "Traces or metrics could not be sent by OTLP; at most one line a minute.");
    public static readonly EventId AdminLoginFailed = List.Add(102, "admin_login_failed",
        "A request to the admin API had no token or a wrong one.");
    public static readonly EventId AdminChange = List.Add(106, "admin_change",
        "A caller of the admin API changed something or tried to: who, from where, what, and the answer's status.");
    public static readonly EventId DashboardBug = List.Add(110, "dashboard_bug",
        "Reading the state for the dashboard failed because of a bug in Penstock; it is read again a second later.");
    public static readonly EventId LogLevelSet = List.Add(109, "log_level_set",
        "The admin API set the level of events.");
    public static readonly EventId ClientIgnored = List.Add(111, "client_ignored",
        "The store contains a client or a plan whose numbers are invalid; it is ignored.");
    public static readonly EventId PlanChanged = List.Add(113, "plan_changed",
        "A plan of the configuration file was created or edited.");
    public static readonly EventId StoreFailing = List.Add(114, "store_failing",
        "The store is unavailable: limits are enforced from memory, edits are rejected.");
    public static readonly EventId StoreCreated = List.Add(123, "store_created",
        "There was no store yet, so an empty one was created. Where clients are missing, it may be another file than "
            + "before: a relative path depends on the working directory.");
    public static readonly EventId StoreRecovered = List.Add(115, "store_recovered", "The store works again.");
    public static readonly EventId StoredBackend = List.Add(119, "stored_backend",
        "A backend that the store keeps was added or removed here, or cannot be used.");
    public static readonly EventId BucketsLoaded = List.Add(116, "buckets_loaded",
        "At start, buckets of unregistered clients were loaded.");
    public static readonly EventId TokensLost = List.Add(117, "tokens_lost",
        "At a stop, the tokens of some clients could not be saved.");
    public static readonly EventId FlushFailed = List.Add(118, "flush_failed",
        "Saving buckets failed because of a bug in Penstock; it is retried every second.");
    public static readonly EventId CertificateExpires = List.Add(120, "certificate_expires",
        "A certificate of a listener expires in 30, 7 or 1 days, or has expired; of one that Penstock gets itself, "
            + "also why it could not be renewed.");
    public static readonly EventId TakeoverBegun = List.Add(107, "takeover_begun",
        "Another process takes over from this one.");
    public static readonly EventId TakeoverFailed = List.Add(108, "takeover_failed",
        "Another process did not take over, or did so only in part; the line says what this process does.");
    public static readonly EventId TakeoverBug = List.Add(122, "takeover_bug",
        "Tokens for the process before could not be counted because of a bug in Penstock.");
    public static readonly EventId SuccessorSilent = List.Add(112, "successor_silent",
        "The process that has taken over does not answer: this process limits its last requests by itself.");
    public static readonly EventId TicketKeysFailing = List.Add(121, "ticket_keys_failing",
        "The file with the keys of TLS tickets cannot be read or written, or works again.");
    public static readonly EventId DatabaseLost = List.Add(130, "database_lost",
        "The database that nodes share is unreachable: this node grants its share of each limit.");
    public static readonly EventId DatabaseBack = List.Add(131, "database_back",
        "The database is reachable again: the nodes share limits again.");
    public static readonly EventId DatabasePooled = List.Add(132, "database_pooled",
        "The database is reached through a connection pooler: this node polls for edits of other nodes.");
    public static readonly EventId ClientsReloaded = List.Add(133, "clients_reloaded",
        "This node may have missed edits of other nodes and has read all clients again.");
    public static readonly EventId LeaseBug = List.Add(134, "lease_bug",
        "Leasing tokens failed because of a bug in Penstock; the node reconnects to the database.");
    public static readonly EventId EditFeedBug = List.Add(135, "edit_feed_bug",
        "Reading edits of other nodes failed because of a bug in Penstock; it is retried.");
    public static readonly EventId CertificateObtained = List.Add(160, "certificate_obtained",
        "A CA gave a certificate for a name, the first or a new one.");
    public static readonly EventId CertificateFailed = List.Add(161, "certificate_failed",
        "A try to get or read a certificate failed: the cause and the time of the next try. A valid certificate stays "
            + "in force.");
    public static readonly EventId CertificateRecovered = List.Add(162, "certificate_recovered",
        "A CA gave a certificate after failed tries.");
    public static readonly EventId CertificateSuggested = List.Add(164, "certificate_suggested",
        "The CA asks to renew a certificate now, or did not say when.");
    public static readonly EventId CertificateBug = List.Add(165, "certificate_bug",
        "Keeping certificates failed because of a bug in Penstock; it is retried.");
}
