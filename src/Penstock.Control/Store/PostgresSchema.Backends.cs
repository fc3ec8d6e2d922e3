namespace Penstock.Control.Store;

/// <content>The fourth version of the schema: backends that the admin API added.</content>
internal static partial class PostgresSchema
{
    // An edit gets its version as the deletion of no client, as that of a plan does; a node that sees such an edit
    // reads all backends again, because they are few.
    private const string Backends = """
        CREATE TABLE penstock_backends (
            upstream text COLLATE "C" NOT NULL,
            address  text COLLATE "C" NOT NULL,
            settings jsonb            NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
            PRIMARY KEY (upstream, address)
        );

        CREATE FUNCTION penstock_edit_backends() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO penstock_deleted (version, client_id) VALUES (nextval('penstock_version'), '');
            RETURN NULL;
        END $$;

        CREATE TRIGGER begin_edit BEFORE INSERT OR DELETE OR UPDATE
            ON penstock_backends FOR EACH STATEMENT EXECUTE FUNCTION penstock_begin_edit();
        CREATE TRIGGER edit AFTER INSERT OR DELETE OR UPDATE
            ON penstock_backends FOR EACH STATEMENT EXECUTE FUNCTION penstock_edit_backends();
        CREATE TRIGGER end_edit AFTER INSERT OR DELETE OR UPDATE
            ON penstock_backends FOR EACH STATEMENT EXECUTE FUNCTION penstock_end_edit();
        CREATE TRIGGER refuse BEFORE TRUNCATE
            ON penstock_backends FOR EACH STATEMENT EXECUTE FUNCTION penstock_refuse();
        """;
}
