namespace Penstock.Control.Store;

/// <content>Certificates by ACME, which nodes share.</content>
internal static partial class PostgresSchema
{
    // A write counts the version up in the same transaction. It holds the row until it commits, so that versions become
    // visible in order, and a node that has seen a version has missed no write before it.
    private const string Acme = """
        CREATE TABLE penstock_acme_items (
            directory text COLLATE "C" NOT NULL, -- the URL of the CA's
            item      text COLLATE "C" NOT NULL, -- account.json, NAME.pem, NAME.failure.json, NAME.challenge.json
            value     text NOT NULL,             -- private keys, too
            PRIMARY KEY (directory, item)
        );

        -- One row: which node orders certificates, and until when.
        CREATE TABLE penstock_acme_lead (
            only_row boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
            version  bigint      NOT NULL DEFAULT 0,
            node     text        NOT NULL DEFAULT '',
            until    timestamptz NOT NULL DEFAULT '-infinity'
        );
        INSERT INTO penstock_acme_lead DEFAULT VALUES;
        """;
}
