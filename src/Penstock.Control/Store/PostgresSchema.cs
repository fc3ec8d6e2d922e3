using Npgsql;

namespace Penstock.Control.Store;

/// <summary>The tables that nodes share. Nodes edit them, and operators with plain SQL; therefore triggers enforce all
/// rules that make an edit safe.</summary>
internal static partial class PostgresSchema
{
    /// <summary>The channel of the notification that a client, a plan or a backend has changed.</summary>
    public const string Channel = "penstock_clients";

    /// <summary>Reads the version of the last edit.</summary>
    public const string LastVersionSql = "SELECT coalesce(greatest((SELECT max(version) FROM penstock_clients), "
        + "(SELECT max(version) FROM penstock_plans), (SELECT max(version) FROM penstock_deleted)), 0)";

    /// <summary>Edits run one after another under this advisory lock, so that versions become visible in order and a
    /// reader of "all edits after version n" misses none. Leases do not take the lock.</summary>
    public const long EditLock = 0x70656e7374_01;

    private const long MigrationLock = 0x70656e7374_02;
    private const int MigrationTimeoutSeconds = 60;

    /// <summary>Applied in this order; the table penstock_schema lists the applied ones. Only append to the list.
    /// </summary>
    private static readonly string[] Migrations = [First, NoCredit, Plans, Backends, Acme];

    // Tokens change with every lease. They are in no index, so that such an update stays on its page (fillfactor).
    // Text is compared by bytes, as in SQLite.
    private const string First = $"""
        CREATE SEQUENCE penstock_version;

        CREATE TABLE penstock_clients (
            client_id    text COLLATE "C"  NOT NULL PRIMARY KEY,
            capacity     bigint            NOT NULL CHECK (capacity BETWEEN 1 AND 1000000000),
            rate_per_sec double precision  NOT NULL CHECK (rate_per_sec > 0 AND rate_per_sec <= 1000000),
            tokens       double precision  NOT NULL, -- at tokens_at; negative while a debt is paid back
            tokens_at    timestamptz       NOT NULL,
            leased       bigint            NOT NULL DEFAULT 0, -- by all nodes, ever
            epoch        bigint            NOT NULL DEFAULT 0, -- version of the last edit that set the tokens
            version      bigint            NOT NULL DEFAULT 0  -- of the last edit
        ) WITH (fillfactor = 70);
        CREATE INDEX penstock_clients_by_version ON penstock_clients (version);

        CREATE TABLE penstock_deleted (
            version    bigint           NOT NULL PRIMARY KEY,
            client_id  text COLLATE "C" NOT NULL,
            deleted_at timestamptz      NOT NULL DEFAULT now()
        );

        CREATE TABLE penstock_nodes (
            node_id    text        NOT NULL PRIMARY KEY,
            version    text        NOT NULL,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_seen  timestamptz NOT NULL DEFAULT clock_timestamp()
        ) WITH (fillfactor = 50);

        -- Nodes that are there. The interval is that of docs/store.md.
        CREATE FUNCTION penstock_nodes_alive() RETURNS bigint LANGUAGE sql STABLE AS $$
            SELECT greatest(1, count(*)) FROM penstock_nodes
            WHERE last_seen > clock_timestamp() - interval '10 seconds'
        $$;

        -- One node's standing credit of a bucket: Leases.StandingCredit of the program.
        CREATE FUNCTION penstock_credit(capacity bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
            SELECT least(64, greatest(1, capacity / 32))
        $$;

        -- What a shared bucket holds at most: the capacity without the credits of the nodes.
        CREATE FUNCTION penstock_room(capacity bigint, nodes bigint) RETURNS double precision
        LANGUAGE sql IMMUTABLE AS $$
            SELECT (capacity - penstock_credit(capacity)
                * least(nodes, capacity / 2 / penstock_credit(capacity)))::double precision
        $$;

        CREATE FUNCTION penstock_refilled(tokens double precision, rate_per_sec double precision, since timestamptz,
            until timestamptz) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
            SELECT tokens + rate_per_sec * greatest(0, extract(epoch FROM until - since))::double precision
        $$;

        CREATE FUNCTION penstock_begin_edit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(@edit_lock@);
            RETURN NULL;
        END $$;

        CREATE FUNCTION penstock_edit() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            at timestamptz := clock_timestamp();
        BEGIN
            NEW.version := nextval('penstock_version');
            IF TG_OP = 'INSERT' OR NEW.epoch <> OLD.epoch THEN -- the tokens are set
                NEW.tokens := coalesce(NEW.tokens, NEW.capacity);
                IF NEW.tokens >= NEW.capacity THEN
                    NEW.tokens := NEW.capacity;
                ELSE -- less than full: no node has credit then
                    NEW.tokens := least(NEW.tokens, penstock_room(NEW.capacity, penstock_nodes_alive()) - 0.001);
                END IF;
                NEW.epoch := NEW.version;
            ELSE -- they stay, and what came back so far came back at the rate of before
                NEW.tokens := least(NEW.capacity, OLD.capacity,
                    penstock_refilled(OLD.tokens, OLD.rate_per_sec, OLD.tokens_at, at));
            END IF;
            NEW.tokens_at := at;
            RETURN NEW;
        END $$;

        CREATE FUNCTION penstock_bury() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO penstock_deleted (version, client_id) VALUES (nextval('penstock_version'), OLD.client_id);
            RETURN NULL;
        END $$;

        CREATE FUNCTION penstock_end_edit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                DELETE FROM penstock_deleted WHERE deleted_at < now() - interval '1 day';
            END IF;
            PERFORM pg_notify('{Channel}', '');
            RETURN NULL;
        END $$;

        CREATE FUNCTION penstock_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'Penstock nodes would not notice TRUNCATE: use DELETE';
        END $$;

        CREATE TRIGGER begin_edit BEFORE INSERT OR DELETE OR UPDATE OF capacity, rate_per_sec, epoch
            ON penstock_clients FOR EACH STATEMENT EXECUTE FUNCTION penstock_begin_edit();
        CREATE TRIGGER edit BEFORE INSERT OR UPDATE OF capacity, rate_per_sec, epoch
            ON penstock_clients FOR EACH ROW EXECUTE FUNCTION penstock_edit();
        CREATE TRIGGER bury AFTER DELETE ON penstock_clients FOR EACH ROW EXECUTE FUNCTION penstock_bury();
        CREATE TRIGGER end_edit AFTER INSERT OR DELETE OR UPDATE OF capacity, rate_per_sec, epoch
            ON penstock_clients FOR EACH STATEMENT EXECUTE FUNCTION penstock_end_edit();
        CREATE TRIGGER refuse BEFORE TRUNCATE
            ON penstock_clients FOR EACH STATEMENT EXECUTE FUNCTION penstock_refuse();
        """;

    // Nodes no longer hold a standing credit of each bucket: a request waits for a lease instead. The function
    // penstock_room stays, because nodes of the previous version call it until they are updated.
    private const string NoCredit = """
        CREATE OR REPLACE FUNCTION penstock_room(capacity bigint, nodes bigint) RETURNS double precision
        LANGUAGE sql IMMUTABLE AS $$
            SELECT capacity::double precision
        $$;
        DROP FUNCTION penstock_credit(bigint);

        CREATE OR REPLACE FUNCTION penstock_edit() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            at timestamptz := clock_timestamp();
        BEGIN
            NEW.version := nextval('penstock_version');
            IF TG_OP = 'INSERT' OR NEW.epoch <> OLD.epoch THEN -- the tokens are set
                NEW.tokens := least(NEW.capacity, coalesce(NEW.tokens, NEW.capacity));
                NEW.epoch := NEW.version;
            ELSE -- they stay, and what came back so far came back at the rate of before
                NEW.tokens := least(NEW.capacity, OLD.capacity,
                    penstock_refilled(OLD.tokens, OLD.rate_per_sec, OLD.tokens_at, at));
            END IF;
            NEW.tokens_at := at;
            RETURN NEW;
        END $$;
        """;

    public static int Newest => Migrations.Length;

    /// <summary>Migrates the database to the newest schema. If several nodes start together, the others wait for the
    /// first.</summary>
    /// <param name="name">The store's name, for messages.</param>
    /// <param name="last">The last schema version to apply, for tests; null: the newest.</param>
    /// <exception cref="StartException">The database cannot be used.</exception>
    /// <exception cref="NpgsqlException">The database cannot be reached.</exception>
    public static void Migrate(NpgsqlConnection connection, string name, int? last = null)
    {
        if (Scalar<string>(connection, "SHOW server_encoding") is not "UTF8" and var encoding)
        {
            throw new StartException($"store {name}: its encoding is {encoding}, it must be UTF8");
        }

        using NpgsqlTransaction transaction = connection.BeginTransaction();
        Execute(connection, $"SET LOCAL statement_timeout = '{MigrationTimeoutSeconds}s'");
        Execute(connection, $"SELECT pg_advisory_xact_lock({MigrationLock})");
        Execute(connection, """
            CREATE TABLE IF NOT EXISTS penstock_schema (
                version int NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
            """);
        int version = Scalar<int>(connection, "SELECT coalesce(max(version), 0) FROM penstock_schema");
        if (version > Newest)
        {
            throw new StartException($"store {name}: its schema is version {version}, this Penstock knows up to "
                + $"{Newest}: a newer Penstock has migrated it; start that version");
        }
        for (int next = version + 1; next <= (last ?? Newest); next++)
        {
            Execute(connection, Migrations[next - 1]
                .Replace("@edit_lock@", EditLock.ToString(), StringComparison.Ordinal));
            Execute(connection, $"INSERT INTO penstock_schema (version) VALUES ({next})");
        }
        transaction.Commit();
    }

    private static void Execute(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = MigrationTimeoutSeconds };
        command.ExecuteNonQuery();
    }

    private static T Scalar<T>(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return (T)command.ExecuteScalar()!;
    }
}
