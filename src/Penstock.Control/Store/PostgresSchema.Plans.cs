namespace Penstock.Control.Store;

/// <content>The third version of the schema: plans, access, numbers for named limits.</content>
internal static partial class PostgresSchema
{
    // A client with a plan has the plan's numbers, so an edit of a plan changes one row. The client's own row keeps the
    // numbers from when it got the plan; nodes of the previous version use those.
    private const string Plans = """
        CREATE TABLE penstock_plans (
            plan         text COLLATE "C"  NOT NULL PRIMARY KEY,
            capacity     bigint            NOT NULL CHECK (capacity BETWEEN 1 AND 1000000000),
            rate_per_sec double precision  NOT NULL CHECK (rate_per_sec > 0 AND rate_per_sec <= 1000000),
            changed_at   timestamptz       NOT NULL DEFAULT clock_timestamp(),
            version      bigint            NOT NULL DEFAULT 0
        );

        -- What a plan was before, and until when: tokens that came back then came back at that rate.
        CREATE TABLE penstock_plan_past (
            plan         text COLLATE "C"  NOT NULL,
            until        timestamptz       NOT NULL,
            capacity     bigint            NOT NULL,
            rate_per_sec double precision  NOT NULL,
            PRIMARY KEY (plan, until)
        );

        ALTER TABLE penstock_clients
            ADD COLUMN plan        text COLLATE "C",
            ADD COLUMN access      text NOT NULL DEFAULT 'limited' CHECK (access IN ('limited', 'blocked', 'exempt')),
            ADD COLUMN has_numbers boolean NOT NULL DEFAULT true,
            ADD COLUMN limits      jsonb CHECK (jsonb_typeof(limits) = 'object');
        CREATE INDEX penstock_clients_by_plan ON penstock_clients (plan) WHERE plan IS NOT NULL;

        -- What a bucket held at the last edit of its plan, if nobody has touched it since.
        CREATE FUNCTION penstock_settled(plan_name text, tokens double precision, tokens_at timestamptz)
        RETURNS double precision LANGUAGE plpgsql STABLE AS $$
        DECLARE
            past penstock_plan_past%ROWTYPE;
        BEGIN
            FOR past IN SELECT * FROM penstock_plan_past p WHERE p.plan = plan_name AND p.until > tokens_at
                ORDER BY p.until
            LOOP
                tokens := least(past.capacity, penstock_refilled(tokens, past.rate_per_sec, tokens_at, past.until));
                tokens_at := past.until;
            END LOOP;
            RETURN tokens;
        END $$;

        -- Clients with the numbers that hold for them now.
        CREATE VIEW penstock_buckets AS
            SELECT c.client_id, coalesce(p.capacity, c.capacity) AS capacity,
                coalesce(p.rate_per_sec, c.rate_per_sec) AS rate_per_sec,
                CASE WHEN p.changed_at > c.tokens_at THEN penstock_settled(c.plan, c.tokens, c.tokens_at)
                     ELSE c.tokens END AS tokens,
                greatest(p.changed_at, c.tokens_at) AS tokens_at,
                c.leased, c.epoch, c.version, c.plan, c.access, c.has_numbers, c.limits
            FROM penstock_clients c LEFT JOIN penstock_plans p ON p.plan = c.plan;

        -- Before penstock_edit, which sees the numbers of the plan then.
        CREATE FUNCTION penstock_assign_plan() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND NEW.plan IS NOT DISTINCT FROM OLD.plan
                AND (NEW.capacity, NEW.rate_per_sec) IS DISTINCT FROM (OLD.capacity, OLD.rate_per_sec) THEN
                NEW.plan := NULL; -- by SQL, or by a node that knows no plans: then these are its own numbers
                NEW.has_numbers := true;
            END IF;
            IF NEW.plan IS NOT NULL THEN
                SELECT p.capacity, p.rate_per_sec INTO NEW.capacity, NEW.rate_per_sec
                FROM penstock_plans p WHERE p.plan = NEW.plan;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no plan %', NEW.plan USING ERRCODE = 'foreign_key_violation';
                END IF;
            END IF;
            RETURN NEW;
        END $$;

        -- After penstock_edit, which knows no plans: the tokens that stay are those of the plan of before.
        CREATE FUNCTION penstock_keep_planned() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            held penstock_buckets%ROWTYPE;
        BEGIN
            SELECT * INTO held FROM penstock_buckets b WHERE b.client_id = OLD.client_id;
            NEW.tokens := least(NEW.capacity, held.capacity,
                penstock_refilled(held.tokens, held.rate_per_sec, held.tokens_at, NEW.tokens_at));
            RETURN NEW;
        END $$;

        DROP TRIGGER begin_edit ON penstock_clients;
        DROP TRIGGER edit ON penstock_clients;
        DROP TRIGGER end_edit ON penstock_clients;
        CREATE TRIGGER begin_edit BEFORE INSERT OR DELETE
            OR UPDATE OF capacity, rate_per_sec, epoch, plan, access, has_numbers, limits
            ON penstock_clients FOR EACH STATEMENT EXECUTE FUNCTION penstock_begin_edit();
        CREATE TRIGGER assign_plan BEFORE INSERT
            OR UPDATE OF capacity, rate_per_sec, epoch, plan, access, has_numbers, limits
            ON penstock_clients FOR EACH ROW EXECUTE FUNCTION penstock_assign_plan(); -- the first, by its name
        CREATE TRIGGER edit BEFORE INSERT
            OR UPDATE OF capacity, rate_per_sec, epoch, plan, access, has_numbers, limits
            ON penstock_clients FOR EACH ROW EXECUTE FUNCTION penstock_edit();
        CREATE TRIGGER keep_planned BEFORE UPDATE OF capacity, rate_per_sec, epoch, plan, access, has_numbers, limits
            ON penstock_clients FOR EACH ROW WHEN (OLD.plan IS NOT NULL AND NEW.epoch = OLD.epoch)
            EXECUTE FUNCTION penstock_keep_planned();
        CREATE TRIGGER end_edit AFTER INSERT OR DELETE
            OR UPDATE OF capacity, rate_per_sec, epoch, plan, access, has_numbers, limits
            ON penstock_clients FOR EACH STATEMENT EXECUTE FUNCTION penstock_end_edit();

        CREATE FUNCTION penstock_edit_plan() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF EXISTS (SELECT FROM penstock_clients c WHERE c.plan = OLD.plan) THEN
                    RAISE EXCEPTION 'plan % has clients', OLD.plan USING ERRCODE = 'foreign_key_violation';
                END IF;
                DELETE FROM penstock_plan_past p WHERE p.plan = OLD.plan;
                INSERT INTO penstock_deleted (version, client_id) -- of no client: only that versions go on
                VALUES (nextval('penstock_version'), '');
                RETURN OLD;
            END IF;
            NEW.version := nextval('penstock_version');
            NEW.changed_at := clock_timestamp();
            IF TG_OP = 'UPDATE' THEN
                IF NEW.plan <> OLD.plan THEN
                    RAISE EXCEPTION 'a plan keeps its name: insert another one';
                END IF;
                NEW.changed_at := greatest(NEW.changed_at, OLD.changed_at + interval '1 microsecond');
                INSERT INTO penstock_plan_past VALUES (OLD.plan, NEW.changed_at, OLD.capacity, OLD.rate_per_sec);
                -- A client that was idle through a hundred edits is full, or nearly.
                DELETE FROM penstock_plan_past p WHERE p.plan = OLD.plan AND p.until <=
                    (SELECT o.until FROM penstock_plan_past o WHERE o.plan = OLD.plan
                     ORDER BY o.until DESC OFFSET 100 LIMIT 1);
            END IF;
            RETURN NEW;
        END $$;

        CREATE TRIGGER begin_edit BEFORE INSERT OR DELETE OR UPDATE
            ON penstock_plans FOR EACH STATEMENT EXECUTE FUNCTION penstock_begin_edit();
        CREATE TRIGGER edit BEFORE INSERT OR DELETE OR UPDATE
            ON penstock_plans FOR EACH ROW EXECUTE FUNCTION penstock_edit_plan();
        CREATE TRIGGER end_edit AFTER INSERT OR DELETE OR UPDATE
            ON penstock_plans FOR EACH STATEMENT EXECUTE FUNCTION penstock_end_edit();
        CREATE TRIGGER refuse BEFORE TRUNCATE
            ON penstock_plans FOR EACH STATEMENT EXECUTE FUNCTION penstock_refuse();
        """;
}
